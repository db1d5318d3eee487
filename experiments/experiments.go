package main

import (
	"github.com/paramedic-otel/paramedic/experiments/internal/availability"
	"github.com/paramedic-otel/paramedic/experiments/internal/experiment"
	"github.com/paramedic-otel/paramedic/experiments/internal/labelled"
	"github.com/paramedic-otel/paramedic/experiments/internal/noise"
	"github.com/paramedic-otel/paramedic/experiments/internal/safety"
)

// experiments are all that there are, in the order of the report.
func experiments() []experiment.Experiment {
	return []experiment.Experiment{
		labelled.Experiment(), noise.Experiment(), availability.Experiment(), safety.Experiment(), availability.Course(),
	}
}
