package anomalyprocessor

import (
	"errors"

	"go.opentelemetry.io/collector/confmap"
)

// Unmarshal implements confmap.Unmarshaler. It tells who still uses a setting that is gone what has taken its place.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	if conf.IsSet("expected_anomalies_per_day") {
		return errors.New("expected_anomalies_per_day is gone: write sensitivity, the false alarms to expect of a calm series " +
			"in a week; with the default min_score, 0.37 times the old value means the same")
	}
	return conf.Unmarshal(c)
}

// anomaliesPerDay is the prior a of the score a/(a+c) with which a calm series, that shows by chance what is rated c times
// a day, reaches min_score as often as sensitivity says.
func anomaliesPerDay(sensitivity, minScore float64) float64 {
	return sensitivity / 7 * minScore / (1 - minScore)
}
