package kubeaction

import (
	"context"
	"fmt"
	"strings"
)

type restoringKey struct{}

// withRestoring marks the requests of a context as taking back what was done: see [Request.Restoring].
func withRestoring(ctx context.Context) context.Context {
	return context.WithValue(ctx, restoringKey{}, true)
}

func isRestoring(ctx context.Context) bool {
	restoring, _ := ctx.Value(restoringKey{}).(bool)
	return restoring
}

// Halted is the error of an action that was stopped half-way. It has put back what it could, and must not be carried out
// again: a person should look. Applying the same plan again changes nothing and gives this error again.
type Halted struct {
	Action string
	Target Object
	// Why says what stood in the way.
	Why error
	// Done counts what is known to have been disturbed, and Left names what was not, of which there may be more.
	Done int
	Left []string
	// Restored is set where everything that can be put back was. If not, RestoreError says why.
	Restored     bool
	RestoreError error
}

// Error implements error.
func (h *Halted) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s of %s was stopped half-way: %v; at least %d pods were evicted", h.Action, h.Target, h.Why, h.Done)
	if len(h.Left) > 0 {
		fmt.Fprintf(&text, ", left are %s", strings.Join(h.Left, ", "))
	}
	switch {
	case h.RestoreError != nil:
		fmt.Fprintf(&text, "; it could NOT be put back and needs a person: %v", h.RestoreError)
	case h.Restored:
		text.WriteString("; it was put back")
	}
	return text.String()
}

// Unwrap returns why it was stopped.
func (h *Halted) Unwrap() error { return h.Why }
