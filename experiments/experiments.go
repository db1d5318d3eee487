package main

import (
	"github.com/paramedic-otel/paramedic/experiments/internal/experiment"
	"github.com/paramedic-otel/paramedic/experiments/internal/labelled"
)

// experiments are all that there are, in the order of the report.
func experiments() []experiment.Experiment {
	return []experiment.Experiment{labelled.Experiment()}
}
