package servicenow

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
)

// IncidentsTraits are what the exporter must know of the incident table.
var IncidentsTraits = driver.Traits{
	Events: driver.PagerEvents(),
	// Each instance has its own rules, and an event takes two requests or three.
	MaxEventsPerMinute: 30,
}

// IncidentsConfig is the incident table of an instance.
type IncidentsConfig struct {
	Instance `mapstructure:",squash"`
	// Table is incident, or a table that extends it.
	Table string `mapstructure:"table"`
	// Severities are the impact and urgency of a record, of which the instance makes its priority.
	Severities driver.BySeverity[Grade] `mapstructure:"severities"`
	// States are the numbers of states, which an instance can change.
	States States `mapstructure:"states"`
	// CloseCode is one of those that the instance knows.
	CloseCode string `mapstructure:"close_code"`
	// Fields are set in every new record, such as category, assignment_group, caller_id or cmdb_ci.
	Fields map[string]string `mapstructure:"fields"`
}

// Grade is an impact and an urgency, from 1, high, to 3, low.
type Grade struct {
	Impact  string `mapstructure:"impact"`
	Urgency string `mapstructure:"urgency"`
}

// States are numbers of states.
type States struct {
	New        string `mapstructure:"new"`
	InProgress string `mapstructure:"in_progress"`
	Resolved   string `mapstructure:"resolved"`
	// Closed are those in which a record is no longer touched; resolved is one of them.
	Closed []string `mapstructure:"closed"`
}

// DefaultIncidentsConfig returns everything that has a default.
func DefaultIncidentsConfig() IncidentsConfig {
	return IncidentsConfig{
		Instance: Instance{Client: driver.NewClient("")}, Table: "incident", CloseCode: "Solution provided",
		Severities: driver.BySeverity[Grade]{Critical: Grade{"1", "1"}, Major: Grade{"2", "1"}, Minor: Grade{"3", "2"}},
		States:     States{New: "1", InProgress: "2", Resolved: "6", Closed: []string{"6", "7", "8"}},
	}
}

const (
	maxFields     = 50
	maxFieldValue = 4000
)

var (
	columnName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,79}$`)
	stateValue = regexp.MustCompile(`^-?[0-9]{1,4}$`)
	// ownFields are what the driver sets itself.
	ownFields = []string{
		"short_description", "description", "impact", "urgency", "correlation_id", "correlation_display", "state", "close_code", "close_notes", "work_notes", "sys_id",
	}
	grades = []string{"1", "2", "3"}
)

// Validate checks what can be known without connecting.
func (c *IncidentsConfig) Validate() error {
	errs := c.check()
	if !columnName.MatchString(c.Table) {
		errs = append(errs, fmt.Errorf("table must be the name of a table, such as incident, got %.80q", c.Table))
	}
	if strings.TrimSpace(c.CloseCode) == "" {
		errs = append(errs, errors.New("close_code must be set to one of the instance's, got nothing; records cannot be resolved without"))
	}
	for severity, g := range c.Severities.All {
		if !slices.Contains(grades, g.Impact) || !slices.Contains(grades, g.Urgency) {
			errs = append(errs, fmt.Errorf("severities::%s must have an impact and an urgency of 1, 2 or 3, got %.20q and %.20q", severity, g.Impact, g.Urgency))
		}
	}
	errs = append(errs, c.States.check()...)
	if len(c.Fields) > maxFields {
		errs = append(errs, fmt.Errorf("fields must have at most %d entries, got %d", maxFields, len(c.Fields)))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		switch {
		case slices.Contains(ownFields, name):
			errs = append(errs, fmt.Errorf("fields must not set %s, which the driver sets", name))
		case !columnName.MatchString(name):
			errs = append(errs, fmt.Errorf("fields must be named like columns of the table, such as assignment_group, got %.80q", name))
		case len([]rune(c.Fields[name])) > maxFieldValue:
			errs = append(errs, fmt.Errorf("fields::%s must have at most %d characters, got %d", name, maxFieldValue, len([]rune(c.Fields[name]))))
		}
	}
	return errors.Join(errs...)
}

func (s *States) check() []error {
	var errs []error
	for _, v := range append([]string{s.New, s.InProgress, s.Resolved}, s.Closed...) {
		if !stateValue.MatchString(v) {
			errs = append(errs, fmt.Errorf("states must be numbers, got %.20q", v))
		}
	}
	if !slices.Contains(s.Closed, s.Resolved) {
		errs = append(errs, fmt.Errorf("states::closed must hold states::resolved, %.20q; else a resolved record would be found as an open one", s.Resolved))
	}
	if slices.Contains(s.Closed, s.New) || slices.Contains(s.Closed, s.InProgress) {
		errs = append(errs, errors.New("states::closed must hold neither states::new nor states::in_progress"))
	}
	return errs
}
