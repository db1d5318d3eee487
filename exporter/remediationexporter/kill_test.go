package remediationexporter

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/extensiontest"
)

// The environment of the process that is killed.
const (
	killDir = "REMEDIATION_TEST_DIR"
	killURL = "REMEDIATION_TEST_URL"
)

// killTaken is how many incidents it takes before that.
const killTaken = 30

// fileStorage gives the exporter a real file.
func (r *rig) fileStorage(dir string) {
	r.t.Helper()
	factory := filestorage.NewFactory()
	cfg := factory.CreateDefaultConfig().(*filestorage.Config)
	cfg.Directory = dir
	ext, err := factory.Create(r.t.Context(), extensiontest.NewNopSettings(factory.Type()), cfg)
	require.NoError(r.t, err)
	require.NoError(r.t, ext.Start(r.t.Context(), r.host))
	id := component.NewID(factory.Type())
	r.host.extensions[id] = ext
	r.cfg.Storage = &id
}

// TestProcessThatIsKilled is the process for the test below: it takes incidents, says so, and never ends by itself.
func TestProcessThatIsKilled(t *testing.T) {
	if os.Getenv(killDir) == "" {
		t.Skip("only runs as the child of TestKilledProcessLosesNothing")
	}
	r := overHTTP(t, os.Getenv(killURL), nil)
	r.fileStorage(os.Getenv(killDir))
	r.start()
	for i := range killTaken {
		r.must(opened(fmt.Sprintf("i-%d", i)))
		fmt.Printf("taken i-%d\n", i)
	}
	<-make(chan struct{})
}

func TestKilledProcessLosesNothing(t *testing.T) {
	var up atomic.Bool
	refused := make(chan string, 1000)
	s, delivered := server(t, func(h http.Handler) *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if !up.Load() {
				refused <- req.Header.Get("webhook-id")
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			h.ServeHTTP(w, req)
		}))
	}, 200)

	dir := t.TempDir()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProcessThatIsKilled$", "-test.v")
	child.Env = append(os.Environ(), killDir+"="+dir, killURL+"="+s.URL)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	var last string
	for lines, n := bufio.NewScanner(out), 0; n < killTaken && lines.Scan(); {
		if id, ok := strings.CutPrefix(lines.Text(), "taken "); ok {
			last = id
			n++
		}
	}
	first := <-refused
	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait())
	require.Equal(t, fmt.Sprintf("i-%d", killTaken-1), last)

	up.Store(true)
	r := overHTTP(t, s.URL, nil)
	r.fileStorage(dir)
	r.start()
	for i := range killTaken {
		q := <-delivered
		if i == 0 {
			assert.Equal(t, first, q.id(), "the event that was under way comes first, with its id")
		}
		assert.Equal(t, fmt.Sprintf("incident/i-%d", i), q.event["subject"])
	}
	assert.Equal(t, int64(0), r.sum("storage_errors"))
	r.stop()
	require.NoError(t, r.host.extensions[*r.cfg.Storage].Shutdown(context.Background()))
}
