package restapi

import (
	"context"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/semconv"
)

// statisticsView sums up the incidents that were detected in a time.
type statisticsView struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	// Incomplete says that there were more incidents than are looked at; these are the latest.
	Incomplete bool           `json:"incomplete,omitempty"`
	Incidents  incidentCounts `json:"incidents"`
	// TimeToDetect is from the start of the trouble to its detection, TimeToAcknowledge and TimeToResolve are from the detection on.
	// Of incidents that merged into another only the first counts.
	TimeToDetect      spanView `json:"time_to_detect"`
	TimeToAcknowledge spanView `json:"time_to_acknowledge"`
	TimeToResolve     spanView `json:"time_to_resolve"`
	// Feedback is what people think of the diagnoses.
	Feedback feedbackCounts `json:"feedback"`
}

type incidentCounts struct {
	Total        int                            `json:"total"`
	Acknowledged int                            `json:"acknowledged"`
	ByStatus     map[semconv.IncidentStatus]int `json:"by_status"`
	BySeverity   map[semconv.Severity]int       `json:"by_severity"`
	ByCauseKind  map[semconv.CauseKind]int      `json:"by_cause_kind"`
	ByResolution map[semconv.Resolution]int     `json:"by_resolution"`
	ByService    []serviceCount                 `json:"by_service"`
	Repeated     int                            `json:"repeated"`
}

// serviceCount is how often a service was the first cause.
type serviceCount struct {
	Service   string `json:"service"`
	Incidents int    `json:"incidents"`
}

// spanView sums up spans of time.
type spanView struct {
	Count int `json:"count"`
	// Mean, P50 and P90 are seconds, 0 without any; a percentile is the smallest value that is not below so many of a hundred.
	Mean float64 `json:"mean_seconds"`
	P50  float64 `json:"p50_seconds"`
	P90  float64 `json:"p90_seconds"`
}

type feedbackCounts struct {
	RightCause int `json:"right_cause"`
	WrongCause int `json:"wrong_cause"`
	FalseAlarm int `json:"false_alarm"`
	// Precision is the share of right causes; left out without feedback.
	Precision *float64 `json:"precision,omitempty"`
}

const (
	statisticsSpan = 30 * 24 * time.Hour
	statisticsPage = 500
	maxServices    = 20
)

func (a *API) statistics(c *call) (any, error) {
	q, err := parseQuery(c.URL.RawQuery, "since", "until")
	if err != nil {
		return nil, err
	}
	since, err := q.time("since")
	until, wrong := q.time("until")
	if err := all(err, wrong); err != nil {
		return nil, err
	}
	if until.IsZero() {
		until = time.Now().UTC()
	}
	if since.IsZero() {
		since = until.Add(-statisticsSpan)
	}
	if !since.Before(until) {
		return nil, refuse(http.StatusBadRequest, "since", "since must be before until")
	}
	ctx, cancel := a.within(c)
	defer cancel()
	return a.sumUp(ctx, since, until)
}

func (a *API) sumUp(ctx context.Context, since, until time.Time) (*statisticsView, error) {
	s := newSum(since, until)
	verdicts, err := a.memory.Verdicts(ctx, since, until)
	if err != nil {
		return nil, err
	}
	s.view.Feedback = feedbackCounts{
		RightCause: verdicts[incidentstore.FeedbackRightCause], WrongCause: verdicts[incidentstore.FeedbackWrongCause],
		FalseAlarm: verdicts[incidentstore.FeedbackFalseAlarm],
	}
	f := incidentstore.IncidentFilter{Since: since, Until: until}
	for page := (incidentstore.Page{Limit: statisticsPage}); ; {
		found, next, err := a.memory.Incidents(ctx, f, page)
		if err != nil {
			return nil, err
		}
		for i := range found {
			if s.view.Incidents.Total == a.settings.MaxStatistics {
				s.view.Incomplete = true
				return s.result(), nil
			}
			s.add(&found[i])
		}
		if page.Cursor = next; next == "" {
			return s.result(), nil
		}
	}
}

// sum is a summary in the making.
type sum struct {
	view                         statisticsView
	services                     map[string]int
	detect, acknowledge, resolve []float64
}

func newSum(since, until time.Time) *sum {
	s := &sum{view: statisticsView{Since: since, Until: until}, services: map[string]int{}}
	s.view.Incidents.ByStatus = map[semconv.IncidentStatus]int{}
	s.view.Incidents.BySeverity = map[semconv.Severity]int{}
	s.view.Incidents.ByCauseKind = map[semconv.CauseKind]int{}
	s.view.Incidents.ByResolution = map[semconv.Resolution]int{}
	return s
}

func (s *sum) add(i *incidentstore.Incident) {
	n := &s.view.Incidents
	n.Total++
	n.ByStatus[i.Status]++
	n.BySeverity[i.Severity]++
	if len(i.Causes) > 0 {
		n.ByCauseKind[i.Causes[0].Kind]++
		if i.Causes[0].Entity.Type == semconv.EntityService {
			s.services[i.Causes[0].Entity.Name]++
		}
	}
	if i.Resolution != "" {
		n.ByResolution[i.Resolution]++
	}
	if i.Occurrence > 1 {
		n.Repeated++
	}
	if i.MergedInto == "" {
		s.detect = span(s.detect, i.StartedAt, i.DetectedAt)
		s.resolve = span(s.resolve, i.DetectedAt, i.ResolvedAt)
	}
	if i.Acknowledgment != nil {
		n.Acknowledged++
		s.acknowledge = span(s.acknowledge, i.DetectedAt, &i.Acknowledgment.At)
	}
}

// span adds the seconds between two times that are both known and in order.
func span(spans []float64, from, to *time.Time) []float64 {
	if from == nil || to == nil || to.Before(*from) {
		return spans
	}
	return append(spans, to.Sub(*from).Seconds())
}

func (s *sum) result() *statisticsView {
	for service, n := range s.services {
		s.view.Incidents.ByService = append(s.view.Incidents.ByService, serviceCount{service, n})
	}
	slices.SortFunc(s.view.Incidents.ByService, func(a, b serviceCount) int {
		if a.Incidents != b.Incidents {
			return b.Incidents - a.Incidents
		}
		if a.Service < b.Service {
			return -1
		}
		return 1
	})
	s.view.Incidents.ByService = list(s.view.Incidents.ByService[:min(maxServices, len(s.services))])
	s.view.TimeToDetect, s.view.TimeToAcknowledge, s.view.TimeToResolve = summary(s.detect), summary(s.acknowledge), summary(s.resolve)
	f := &s.view.Feedback
	if n := f.RightCause + f.WrongCause + f.FalseAlarm; n > 0 {
		p := float64(f.RightCause) / float64(n)
		f.Precision = &p
	}
	return &s.view
}

func summary(spans []float64) spanView {
	v := spanView{Count: len(spans)}
	if v.Count == 0 {
		return v
	}
	slices.Sort(spans)
	total := 0.0
	for _, s := range spans {
		total += s
	}
	at := func(p float64) float64 { return spans[int(math.Ceil(p*float64(len(spans))))-1] }
	v.Mean, v.P50, v.P90 = total/float64(len(spans)), at(0.5), at(0.9)
	return v
}
