package stage

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/paramedic-otel/paramedic/internal/shop"
)

// Users knows how the requests of users and the messages of services really fared.
type Users struct {
	flows map[string]*flow
	// calm is set while it is being learnt what is slow.
	calm bool
}

// flow is one kind of request.
type flow struct {
	message bool
	took    []float64 // seconds, while what is slow is being learnt
	slow    time.Duration
	now     Fared
	keep    bool      // whether durations are kept
	kept    []float64 // seconds
}

// Fared counts requests by how they ended.
type Fared struct {
	Sent int
	// Failed were answered with an error, Hollow looked well and were not, Slow took longer than [Users] takes for usual.
	Failed, Hollow, Slow int
	// Seconds is how long all took.
	Seconds float64
}

// Bad is the share of requests that a user would complain of.
func (f Fared) Bad() float64 {
	if f.Sent == 0 {
		return 0
	}
	return float64(f.Failed+f.Hollow+f.Slow) / float64(f.Sent)
}

func newUsers() *Users { return &Users{flows: map[string]*flow{}, calm: true} }

func (u *Users) watch(e shop.Experience) {
	f := u.flows[e.Kind]
	if f == nil {
		f = &flow{message: e.Message}
		u.flows[e.Kind] = f
	}
	if u.calm {
		f.took = append(f.took, e.Took.Seconds())
	}
	if f.keep {
		f.kept = append(f.kept, e.Took.Seconds())
	}
	f.now.Sent++
	f.now.Seconds += e.Took.Seconds()
	switch {
	case e.Failed:
		f.now.Failed++
	case e.Hollow:
		f.now.Hollow++
	case f.slow > 0 && e.Took > f.slow:
		f.now.Slow++
	}
}

// Learnt ends the time in which it is learnt what is slow: from now on that is factor times the 99th percentile of each kind so far.
func (u *Users) Learnt(factor float64) {
	u.calm = false
	for _, f := range u.flows {
		slices.Sort(f.took)
		if n := len(f.took); n > 0 {
			f.slow = time.Duration(factor * f.took[n*99/100] * float64(time.Second))
		}
		f.took = nil
	}
	u.Take()
}

// KeepDurations makes [Users.TakeDurations] tell of a kind from now on.
func (u *Users) KeepDurations(kind string) {
	if f := u.flows[kind]; f != nil {
		f.keep = true
	}
}

// TakeDurations returns how many seconds the requests of a kind took since the last call.
func (u *Users) TakeDurations(kind string) []float64 {
	f := u.flows[kind]
	if f == nil {
		return nil
	}
	out := f.kept
	f.kept = nil
	return out
}

// Take returns the counts of each kind since the last call and begins anew.
func (u *Users) Take() map[string]Fared {
	out := make(map[string]Fared, len(u.flows))
	for kind, f := range u.flows {
		out[kind], f.now = f.now, Fared{}
	}
	return out
}

// Message reports whether a kind is one of messages, of which no user waits.
func (u *Users) Message(kind string) bool { return u.flows[kind].message }

// Requests adds up the requests of users; messages are not among them.
func (u *Users) Requests(fared map[string]Fared) Fared {
	var sum Fared
	for kind, f := range fared {
		if !u.flows[kind].message {
			sum.Add(f)
		}
	}
	return sum
}

// Add adds other counts.
func (f *Fared) Add(g Fared) {
	f.Sent += g.Sent
	f.Failed += g.Failed
	f.Hollow += g.Hollow
	f.Slow += g.Slow
	f.Seconds += g.Seconds
}

// surely is by how many standard deviations of chance a share must be above another to be higher, and leastBad how many bad requests
// there must be.
const surely, leastBad = 4, 5

// Worst returns the kind of which the share of bad requests is highest above what it was in calm, and that excess; kinds whose excess
// may be chance are left out.
func Worst(fared, calm map[string]Fared) (kind string, excess float64) {
	for k, f := range fared {
		usual, sent := calm[k].Bad(), float64(f.Sent)
		e := f.Bad() - usual
		chance := math.Sqrt(max(usual, 1/max(1, float64(calm[k].Sent))) * max(1, sent))
		if bad := f.Bad() * sent; bad < leastBad || e*sent < surely*chance {
			continue
		}
		if e > excess || e == excess && strings.Compare(k, kind) < 0 {
			kind, excess = k, e
		}
	}
	return kind, excess
}
