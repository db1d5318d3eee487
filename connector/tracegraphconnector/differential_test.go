package tracegraphconnector

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const contribModule = "github.com/open-telemetry/opentelemetry-collector-contrib/connector/servicegraphconnector"

// contribDir returns the folder of contrib's servicegraph connector of the version in go.mod.
func contribDir(t testing.TB) string {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", contribModule).Output()
	require.NoError(t, err)
	dir := strings.TrimSpace(string(out))
	if dir == "" {
		t.Skipf("the module %s is not there", contribModule)
	}
	return dir
}
