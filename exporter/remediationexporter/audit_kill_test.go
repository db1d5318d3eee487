package remediationexporter

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
)

// auditKillDir is in the environment of the process that is killed.
const auditKillDir = "REMEDIATION_TEST_AUDIT_DIR"

// auditKillRig decides on everything and asks nobody, with a real file.
func auditKillRig(t testing.TB, dir string) *rig {
	r := newRig(t, "chat")
	r.editHook("chat", only)
	r.cfg.MaxEventAge, r.cfg.Audit.MaxRecords, r.cfg.MaxIncidents = 0, 100, 100_000
	r.playbook("restart", "chat", func(p *PlaybookConfig) { p.Mode, p.Cooldown = "observe", 0 })
	r.fileStorage(dir)
	return r
}

// TestAuditProcessThatIsKilled is the process for the test below: it decides until it is killed.
func TestAuditProcessThatIsKilled(t *testing.T) {
	if os.Getenv(auditKillDir) == "" {
		t.Skip("only runs as the child of TestAuditSurvivesAKill")
	}
	r := auditKillRig(t, os.Getenv(auditKillDir))
	r.start()
	for i := 0; ; i++ {
		r.must(opened(fmt.Sprintf("i-%d-%d", os.Getpid(), i))) // others than before
		fmt.Println("decided", i)
	}
}

// TestAuditSurvivesAKill kills a process in the midst of deciding, several times: what was decided is in the chain, which is
// unbroken over all of them.
func TestAuditSurvivesAKill(t *testing.T) {
	dir := t.TempDir()
	var head auditchain.Anchor
	for round := range 3 {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAuditProcessThatIsKilled$", "-test.v")
		child.Env = append(os.Environ(), auditKillDir+"="+dir)
		out, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		decided := 0
		for lines := bufio.NewScanner(out); decided < 130 && lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "decided ") {
				decided++
			}
		}
		require.NoError(t, child.Process.Kill())
		require.Error(t, child.Wait())
		require.Equal(t, 130, decided)

		r := auditKillRig(t, dir)
		r.start()
		records := r.chain()
		assert.Len(t, records, 100)
		assert.Zero(t, r.sum("storage_errors"))
		for _, rec := range records {
			assert.Equal(t, "remediation.decision", rec.Kind, "the chain never had to begin anew")
		}
		last := records[len(records)-1]
		if round == 0 {
			assert.GreaterOrEqual(t, last.Seq, uint64(130), "what was said to be decided is there")
		}
		assert.Greater(t, last.Seq, head.Seq)
		head = auditchain.Anchor{Seq: last.Seq, Hash: last.Hash}
		r.stop()
		require.NoError(t, r.host.extensions[*r.cfg.Storage].Shutdown(context.Background()))
	}
	fmt.Printf("audit after three kills: %d records were written, the last 100 are kept and unbroken\n", head.Seq)
}

// FuzzStored starts with anything on the disk: it must start, go on, and keep an audit that is unbroken.
func FuzzStored(f *testing.F) {
	f.Add([]byte(`{"version":1,"first":1,"head":{"seq":1,"hash":""}}`), []byte(`{"seq":1}`), []byte(`1`), []byte(`{"seq":1,"delivery":{"id":"a","type":"t","body":"e30="}}`), []byte(`{"by":"ann"}`), []byte(`{"a":"2026-03-01T10:00:00Z"}`))
	f.Add([]byte(nil), []byte(nil), []byte(`99999999`), []byte(nil), []byte(`null`), []byte(`null`))
	f.Fuzz(func(t *testing.T, head, record, count, letter, pause, used []byte) {
		synctest.Test(t, func(t *testing.T) {
			r := approvalRig(t, nil)
			r.cfg.Approvals.Secrets = append(r.cfg.Approvals.Secrets, secretA)
			for key, value := range map[string][]byte{
				auditKey: head, auditRecordKey(1): record, "dead/slots": count, "dead/0": letter, pauseKey: pause, usedKey: used,
			} {
				if value != nil {
					r.disk.data[key] = value
				}
			}
			r.start()
			r.must(opened("i-1"))
			r.send(signed(t, secretA, granted(strings.Repeat("0", 32), "ann")))
			require.NotEmpty(t, r.chain())
			_, _ = r.dead()
			r.stop()
			n := again(r, r.disk)
			n.start()
			n.chain()
			n.stop()
		})
	})
}
