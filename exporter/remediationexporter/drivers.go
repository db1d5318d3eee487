package remediationexporter

import (
	"net/http"

	"go.opentelemetry.io/collector/config/configoptional"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/alertmanager"
	"github.com/paramedic-otel/paramedic/internal/notifier/cdevents"
	"github.com/paramedic-otel/paramedic/internal/notifier/cloudevent"
	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
	"github.com/paramedic-otel/paramedic/internal/notifier/grafana"
	"github.com/paramedic-otel/paramedic/internal/notifier/opsgenie"
	"github.com/paramedic-otel/paramedic/internal/notifier/pagerduty"
	"github.com/paramedic-otel/paramedic/internal/notifier/servicenow"
	"github.com/paramedic-otel/paramedic/internal/notifier/slack"
	"github.com/paramedic-otel/paramedic/internal/notifier/teams"
	"github.com/paramedic-otel/paramedic/internal/notifier/template"
)

// Drivers are the systems that a notifier can tell; exactly one is set. A new driver has a line here and one in all.
type Drivers struct {
	Alertmanager        configoptional.Optional[alertmanager.Config]        `mapstructure:"alertmanager"`
	CDEvents            configoptional.Optional[cdevents.Config]            `mapstructure:"cdevents"`
	CloudEvent          configoptional.Optional[cloudevent.Config]          `mapstructure:"cloudevent"`
	Grafana             configoptional.Optional[grafana.Config]             `mapstructure:"grafana"`
	JSMOps              configoptional.Optional[opsgenie.Config]            `mapstructure:"jsm_ops"`
	Opsgenie            configoptional.Optional[opsgenie.Config]            `mapstructure:"opsgenie"`
	PagerDuty           configoptional.Optional[pagerduty.Config]           `mapstructure:"pagerduty"`
	ServiceNowEvents    configoptional.Optional[servicenow.EventsConfig]    `mapstructure:"servicenow_events"`
	ServiceNowIncidents configoptional.Optional[servicenow.IncidentsConfig] `mapstructure:"servicenow_incidents"`
	Slack               configoptional.Optional[slack.Config]               `mapstructure:"slack"`
	Teams               configoptional.Optional[teams.Config]               `mapstructure:"teams"`
	Template            configoptional.Optional[template.Config]            `mapstructure:"template"`
}

// all lists the drivers in the order of the documentation.
func (d *Drivers) all() []driverOption {
	return []driverOption{
		option("alertmanager", &d.Alertmanager, alertmanager.DefaultConfig, alertmanager.New, alertmanager.Traits),
		option("cdevents", &d.CDEvents, cdevents.DefaultConfig, cdevents.New, cdevents.Traits),
		option("cloudevent", &d.CloudEvent, cloudevent.DefaultConfig, cloudevent.New, cloudevent.Traits),
		option("grafana", &d.Grafana, grafana.DefaultConfig, grafana.New, grafana.Traits),
		option("jsm_ops", &d.JSMOps, opsgenie.DefaultJSMConfig, opsgenie.New, opsgenie.Traits),
		option("opsgenie", &d.Opsgenie, opsgenie.DefaultConfig, opsgenie.New, opsgenie.Traits),
		option("pagerduty", &d.PagerDuty, pagerduty.DefaultConfig, pagerduty.New, pagerduty.Traits),
		option("servicenow_events", &d.ServiceNowEvents, servicenow.DefaultEventsConfig, servicenow.NewEvents, servicenow.EventsTraits),
		option("servicenow_incidents", &d.ServiceNowIncidents, servicenow.DefaultIncidentsConfig, servicenow.NewIncidents, servicenow.IncidentsTraits),
		option("slack", &d.Slack, slack.DefaultConfig, slack.New, slack.Traits),
		option("teams", &d.Teams, teams.DefaultConfig, teams.New, teams.Traits),
		option("template", &d.Template, template.DefaultConfig, template.New, template.Traits),
	}
}

// driverOption is a driver as the notifier that may have it sees it.
type driverOption struct {
	name   string
	traits driver.Traits
	// reset makes the driver one that the user has not chosen, with its defaults.
	reset func()
	// config is nil when the driver is not set.
	config func() driver.Config
	create func(*http.Client) (notifier.Destination, error)
}

// configPointer is what a driver's package has as configuration.
type configPointer[C any] interface {
	*C
	driver.Config
}

func option[C any, P configPointer[C]](
	name string, of *configoptional.Optional[C], defaults func() C, create func(*C, *http.Client) (notifier.Destination, error), traits driver.Traits,
) driverOption {
	return driverOption{
		name: name, traits: traits,
		reset: func() { *of = configoptional.Default(defaults()) },
		config: func() driver.Config {
			if !of.HasValue() {
				return nil
			}
			return P(of.Get())
		},
		create: func(client *http.Client) (notifier.Destination, error) { return create(of.Get(), client) },
	}
}

// driver returns the one that is set; nil when there is none, or several.
func (d *Drivers) driver() *driverOption {
	var found *driverOption
	for _, o := range d.all() {
		if o.config() == nil {
			continue
		}
		if found != nil {
			return nil
		}
		found = &o
	}
	return found
}

// driverNames are those of all drivers.
func driverNames() []string {
	var names []string
	for _, o := range new(Drivers).all() {
		names = append(names, o.name)
	}
	return names
}
