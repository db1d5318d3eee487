package cluster

import (
	"testing"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

func TestMain(m *testing.M) { kubetest.Main(m, kubetest.Options{}) }
