package main

import (
	"flag"

	"github.com/paramedic-otel/paramedic/benchmark/internal/loop"
	"github.com/paramedic-otel/paramedic/internal/otlpjsonl"
)

// settings are what a run changes about the data and the components.
type settings struct{}

func settingsFrom(flags *flag.FlagSet) *settings {
	s := &settings{}
	return s
}

func (s *settings) configs() loop.Configs {
	return loop.Default()
}

func (s *settings) spoil(b *otlpjsonl.Batch) {}
