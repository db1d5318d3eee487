package main

import (
	"os"
	"path/filepath"

	"github.com/paramedic-otel/paramedic/experiments/internal/plots"
	"github.com/paramedic-otel/paramedic/experiments/internal/report"
	"github.com/paramedic-otel/paramedic/experiments/internal/result"
)

// publish makes the report and the pictures of all results in the folder.
func publish(folder string) error {
	results, err := result.Load(folder)
	if err != nil {
		return err
	}
	pictures, err := plots.Draw(folder, results)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "REPORT.md"), []byte(report.Markdown(results, pictures)), 0o644) //nolint:gosec // a document
}
