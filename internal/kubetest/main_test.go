package kubetest

import "testing"

func TestMain(m *testing.M) { Main(m, Options{}) }
