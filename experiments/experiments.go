package main

import (
	"github.com/paramedic-otel/paramedic/experiments/internal/availability"
	"github.com/paramedic-otel/paramedic/experiments/internal/closedloop"
	"github.com/paramedic-otel/paramedic/experiments/internal/experiment"
	"github.com/paramedic-otel/paramedic/experiments/internal/labelled"
	"github.com/paramedic-otel/paramedic/experiments/internal/noise"
	"github.com/paramedic-otel/paramedic/experiments/internal/safety"
)

// experiments are all that there are: first what runs in simulated time.
func experiments() []experiment.Experiment {
	return append([]experiment.Experiment{
		labelled.Experiment(), noise.Experiment(), availability.Experiment(), safety.Experiment(), availability.Course(),
	}, closedloop.Experiments()...)
}
