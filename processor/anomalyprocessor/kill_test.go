package anomalyprocessor

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensiontest"
)

// killDir is the environment variable that makes this test's binary the process that is killed.
const killDir = "ANOMALY_TEST_DIR"

// onFiles makes a processor that keeps its state in files, snapshots every second.
func onFiles(t *testing.T, dir string) (*harness, extension.Extension) {
	t.Helper()
	factory := filestorage.NewFactory()
	cfg := factory.CreateDefaultConfig().(*filestorage.Config)
	cfg.Directory = dir
	ext, err := factory.Create(t.Context(), extensiontest.NewNopSettings(factory.Type()), cfg)
	require.NoError(t, err)
	require.NoError(t, ext.Start(t.Context(), componenttest.NewNopHost()))
	h := &harness{t: t, cfg: createDefaultConfig().(*Config), sink: new(consumertest.MetricsSink), telemetry: componenttest.NewTelemetry()}
	id := component.NewID(factory.Type())
	h.cfg.Storage, h.cfg.State.Interval = &id, time.Second
	h.processor, err = NewFactory().CreateMetrics(t.Context(), h.settings(), h.cfg, h.sink)
	require.NoError(t, err)
	require.NoError(t, h.processor.Start(t.Context(), host{extensions: map[component.ID]component.Component{id: ext}}))
	return h, ext
}

// TestProcessThatIsKilled is the process for the test below: it learns, says when that is written, and never ends.
func TestProcessThatIsKilled(t *testing.T) {
	dir := os.Getenv(killDir)
	if dir == "" {
		t.Skip("only runs as the child of TestKilledProcessGoesOn")
	}
	h, _ := onFiles(t, dir)
	follow(h, 0, 200, false)
	written := h.value("snapshot_duration", "")
	for h.value("snapshot_duration", "") < written+2 {
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Println("written")
	<-make(chan struct{})
}

func TestKilledProcessGoesOn(t *testing.T) {
	dir := t.TempDir()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProcessThatIsKilled$", "-test.v")
	child.Env = append(os.Environ(), killDir+"="+dir)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "written"; {
		continue
	}
	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait())

	h, ext := onFiles(t, dir)
	assert.Equal(t, h.value("held_series", ""), h.value("restored_series", ""))
	assert.Zero(t, h.value("rejected_series", "")+h.value("rejected_shards", ""))
	assert.Empty(t, follow(h, 200, 205, false), "no spike of a rate")
	assert.NotEmpty(t, follow(h, 205, 215, true), "no warm-up")
	ctx := context.Background()
	require.NoError(t, h.processor.Shutdown(ctx))
	require.NoError(t, ext.Shutdown(ctx))
	require.NoError(t, h.telemetry.Shutdown(ctx))
}
