package remediationexporter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/playbook"
)

// leaderElection is what the k8s_leader_elector extension offers.
type leaderElection interface {
	component.Component
	SetCallBackFuncs(onStartedLeading func(context.Context), onStoppedLeading func())
}

// look tells the ledger how the surroundings are now. e.mu is held.
func (e *remediationExporter) look(now time.Time) playbook.World {
	w := playbook.World{Paused: e.paused(now), Standby: e.standby, Stale: e.watch.stale(now)}
	if v := e.windows.Check(now); !v.OK {
		w.Window = cmp.Or(v.Window, "outside every allow window")
	}
	e.ledger.SetWorld(w)
	e.tellWorld(w, now)
	if held := w != (playbook.World{}); held != e.held {
		if e.held {
			e.ledger.Policy().CatchUp("automation goes on", now)
		}
		e.held = held
	}
	return w
}

// paused names what has paused automation. It is asked right before each action, so it reads the file each time.
func (e *remediationExporter) paused(now time.Time) string {
	if e.pause != nil {
		return e.pause.String()
	}
	if by := e.incidents.paused(now); by != "" {
		return by
	}
	if name := e.cfg.KillSwitch.Environment; name != "" {
		if v := os.Getenv(name); v != "" {
			if on, err := strconv.ParseBool(v); err != nil || on {
				return "the environment variable " + name
			}
		}
	}
	if file := e.cfg.KillSwitch.File; file != "" {
		// Whoever cannot look must assume that it is there.
		if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
			return "the file " + file
		}
	}
	return ""
}

// elect makes the leader elector tell us whether we act. Until it does, another replica may.
func (e *remediationExporter) elect(host component.Host) error {
	if e.cfg.LeaderElector == nil {
		return nil
	}
	ext, ok := host.GetExtensions()[*e.cfg.LeaderElector]
	if !ok {
		return fmt.Errorf("leader_elector: extension %s is not configured", e.cfg.LeaderElector)
	}
	elector, ok := ext.(leaderElection)
	if !ok {
		return fmt.Errorf("leader_elector: extension %s is a %T and not a leader elector", e.cfg.LeaderElector, ext)
	}
	e.standby = true
	elector.SetCallBackFuncs(func(context.Context) { e.lead(true) }, func() { e.lead(false) })
	return nil
}

// lead notes whether this replica acts.
func (e *remediationExporter) lead(leads bool) {
	if e.stopping() {
		return
	}
	e.mu.Lock()
	defer e.settleAndUnlock(context.Background())
	if e.standby == !leads {
		return
	}
	e.standby = !leads
	e.look(time.Now())
	if leads {
		e.wakeSteps()
		for _, h := range e.destinations {
			h.rouse()
		}
		if e.incidents != nil {
			rouse(e.incidents.commands)
		}
	}
	e.after(func() { e.logger.Info("leadership changed", zap.Bool("leads", leads)) })
}
