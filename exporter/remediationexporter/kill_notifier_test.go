package remediationexporter

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
)

// killPagerURL is where the process that is killed finds the pager, and killFrom the first of the incidents that it takes.
const (
	killPagerURL = "REMEDIATION_TEST_PAGER"
	killFrom     = "REMEDIATION_TEST_FROM"
)

// pager takes what a PagerDuty integration does, and drops what has no open alert. Every event is known by its key and action.
type pager struct {
	mu     sync.Mutex
	open   map[string]bool
	opened map[string]int
	closed map[string]int
	wrong  []string
	// kill is called with the number of each request, before its answer.
	kill func(n int)
	n    int
}

func (p *pager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the process was killed while it asked
	}
	var e struct {
		Action string `json:"event_action"`
		Key    string `json:"dedup_key"`
	}
	p.mu.Lock()
	p.n++
	n, kill := p.n, p.kill
	switch err := json.Unmarshal(body, &e); {
	case err != nil:
		p.wrong = append(p.wrong, err.Error())
	case e.Action == "trigger":
		if !p.open[e.Key] {
			p.opened[e.Key]++
		}
		p.open[e.Key] = true
	case e.Action == "resolve" && p.opened[e.Key] == 0:
		p.wrong = append(p.wrong, "resolve of "+e.Key+", which was never opened")
	case e.Action == "resolve":
		if p.open[e.Key] {
			p.closed[e.Key]++
		}
		p.open[e.Key] = false
	}
	p.mu.Unlock()
	if kill != nil {
		kill(n)
	}
	w.WriteHeader(http.StatusAccepted)
	_, _ = fmt.Fprintf(w, `{"status":"success","message":"Event processed","dedup_key":%q}`, e.Key)
}

func pagerRig(t testing.TB, url string) *rig {
	r := newRig(t)
	c := NotifierConfig{}
	require.NoError(t, c.Unmarshal(confmap.NewFromStringMap(map[string]any{
		"pagerduty": map[string]any{"routing_key": strings.Repeat("a", 32), "endpoint": url}, "allow_private_ranges": true, "max_events_per_minute": 0,
	})))
	r.cfg.Notifiers = map[string]NotifierConfig{"pager": c}
	r.cfg.Webhooks = map[string]WebhookConfig{}
	return r
}

// TestPagingProcessThatIsKilled is the process for the test below: it opens and ends incidents as fast as it can.
func TestPagingProcessThatIsKilled(t *testing.T) {
	if os.Getenv(killPagerURL) == "" {
		t.Skip("only runs as the child of TestKilledProcessPagesOnce")
	}
	r := pagerRig(t, os.Getenv(killPagerURL))
	r.fileStorage(os.Getenv(killDir))
	r.start()
	from, _ := strconv.Atoi(os.Getenv(killFrom)) // 0 where it is not set
	for i := range killTaken {
		id := fmt.Sprintf("i-%d", from+i)
		r.must(opened(id))
		r.must(resolved(id, 2, time.Minute))
		fmt.Printf("taken %s\n", id)
	}
	fmt.Println("all taken")
	<-make(chan struct{})
}

// TestKilledProcessPagesOnce kills the process while the pager has taken an event that the process does not know of yet, at different
// points of its work: each incident opens and closes one alert all the same.
func TestKilledProcessPagesOnce(t *testing.T) {
	for _, at := range []int{1, 2, 7, 20} {
		t.Run(fmt.Sprint("request ", at), func(t *testing.T) {
			p := &pager{open: map[string]bool{}, opened: map[string]int{}, closed: map[string]int{}}
			s := httptest.NewServer(p)
			t.Cleanup(s.Close)
			dir := t.TempDir()
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPagingProcessThatIsKilled$", "-test.v")
			child.Env = append(os.Environ(), killDir+"="+dir, killPagerURL+"="+s.URL)
			out, err := child.StdoutPipe()
			require.NoError(t, err)
			taken, reached := make(chan struct{}), make(chan struct{})
			p.mu.Lock()
			p.kill = func(n int) {
				if n == at {
					<-taken
					_ = child.Process.Kill()
					close(reached)
				}
			}
			p.mu.Unlock()
			require.NoError(t, child.Start())
			for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "all taken"; {
			}
			close(taken)
			<-reached
			require.Error(t, child.Wait())
			p.mu.Lock()
			p.kill = nil
			p.mu.Unlock()

			r := pagerRig(t, s.URL)
			r.fileStorage(dir)
			r.start()
			require.Eventually(t, func() bool { return r.sum("queued_events") == 0 }, 30*time.Second, 10*time.Millisecond)
			r.stop()
			require.NoError(t, r.host.extensions[*r.cfg.Storage].Shutdown(context.Background()))
			p.mu.Lock()
			defer p.mu.Unlock()
			assert.Empty(t, p.wrong)
			assert.Len(t, p.opened, killTaken)
			for key, n := range p.opened {
				assert.Equal(t, 1, n, key)
				assert.Equal(t, 1, p.closed[key], key)
				assert.False(t, p.open[key], key)
			}
		})
	}
}

// TestKilledAtAnyPoint kills one process after the other at random moments, on the same storage: while it starts, takes incidents, is told
// that a delivery was taken, or notes that. What was taken is told in the end, and each incident opens and closes one alert.
func TestKilledAtAnyPoint(t *testing.T) {
	kills := 25
	if testing.Short() {
		kills = 3
	}
	p := &pager{open: map[string]bool{}, opened: map[string]int{}, closed: map[string]int{}}
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // repeatable on purpose
	from := 0
	for range kills {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPagingProcessThatIsKilled$", "-test.v")
		child.Env = append(os.Environ(), killDir+"="+dir, killPagerURL+"="+s.URL, killFrom+"="+strconv.Itoa(from))
		out, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		after, taken := rng.IntN(killTaken+1), 0
		delay := time.Duration(rng.IntN(20_000)) * time.Microsecond
		lines := bufio.NewScanner(out)
		next := func() bool {
			for lines.Scan() {
				if strings.HasPrefix(lines.Text(), "taken ") {
					return true
				}
			}
			return false
		}
		for taken < after && next() {
			taken++
		}
		<-time.After(delay)
		require.NoError(t, child.Process.Kill())
		for next() {
			taken++
		}
		require.Error(t, child.Wait(), "it was killed")
		from += taken // what was not said to be taken is sent again, as a sender would
	}
	r := pagerRig(t, s.URL)
	r.fileStorage(dir)
	r.start()
	// The sender of the last that was not acknowledged tries again.
	r.must(opened(fmt.Sprintf("i-%d", from)))
	r.must(resolved(fmt.Sprintf("i-%d", from), 2, time.Minute))
	require.Eventually(t, func() bool { return r.sum("queued_events") == 0 }, 60*time.Second, 10*time.Millisecond)
	assert.Zero(t, r.sum("storage_errors"))
	r.stop()
	require.NoError(t, r.host.extensions[*r.cfg.Storage].Shutdown(context.Background()))
	p.mu.Lock()
	defer p.mu.Unlock()
	assert.Empty(t, p.wrong)
	assert.Len(t, p.opened, from+1)
	for key, n := range p.opened {
		assert.Equal(t, 1, n, key)
		assert.Equal(t, 1, p.closed[key], key)
		assert.False(t, p.open[key], key)
	}
	t.Logf("%d kills, %d incidents", kills, from+1)
}
