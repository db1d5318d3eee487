package wording

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"

	"github.com/paramedic-otel/paramedic/internal/notifier"
)

// Gist changes when something changes that is worth telling again to people who have read the story: whether and how the incident
// ended, how grave it is, its first cause, who has taken it on, and where users feel it.
func Gist(m *notifier.Message) string {
	inc := m.Incident
	if inc == nil {
		return ""
	}
	points := slices.Sorted(slices.Values(inc.EntryPoints))
	h := fnv.New64a()
	fmt.Fprintf(h, "%q", append([]string{
		string(inc.Status), string(inc.Resolution), string(inc.Severity), Cause(inc), m.Acknowledged, strconv.FormatInt(inc.Reopened, 10),
	}, points...))
	return strconv.FormatUint(h.Sum64(), 36)
}
