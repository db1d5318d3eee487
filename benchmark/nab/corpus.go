package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paramedic-otel/paramedic/benchmark/internal/nabscore"
)

// corpus is a NAB folder. labelled is false when it has no labels at all.
type corpus struct {
	files    []file
	windows  map[string][]nabscore.Window
	labelled bool
}

// file is one series; its key is <group>/<name>.
type file struct {
	key  string
	rows []row
}

// row is one value. stamp and text are as the file has them.
type row struct {
	stamp, text string
	at          time.Time
	value       float64
}

func (f *file) group() string { return f.key[:strings.IndexByte(f.key, '/')] }

func readCorpus(dir string) (*corpus, error) {
	c := &corpus{}
	paths, err := filepath.Glob(filepath.Join(dir, "data", "*", "*.csv"))
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("%s must hold data/<group>/*.csv, found none", dir)
	}
	slices.Sort(paths)
	for _, path := range paths {
		rows, err := readRows(path)
		if err != nil {
			return nil, err
		}
		key := filepath.Base(filepath.Dir(path)) + "/" + filepath.Base(path)
		c.files = append(c.files, file{key: key, rows: rows})
	}
	c.windows, err = readWindows(filepath.Join(dir, "labels", "combined_windows.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	c.labelled = err == nil
	return c, err
}

// readRows reads the columns timestamp and value of a file, wherever they stand.
func readRows(path string) ([]row, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("%s must have a header", path)
	}
	at, value := slices.Index(lines[0], "timestamp"), slices.Index(lines[0], "value")
	if at < 0 || value < 0 {
		return nil, fmt.Errorf("%s must have the columns timestamp and value, got %q", path, lines[0])
	}
	rows := make([]row, 0, len(lines)-1)
	for i, line := range lines[1:] {
		t, err := parseTime(line[at])
		if err != nil {
			return nil, fmt.Errorf("%s, row %d: %w", path, i+1, err)
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(line[value]), 64)
		if err != nil {
			return nil, fmt.Errorf("%s, row %d: %w", path, i+1, err)
		}
		rows = append(rows, row{stamp: line[at], text: line[value], at: t, value: v})
	}
	return rows, nil
}

// parseTime reads a time without a zone, with a space or a T, with or without a fraction of a second.
func parseTime(s string) (time.Time, error) {
	return time.Parse(time.DateTime, strings.Replace(strings.TrimSpace(s), "T", " ", 1))
}

func readWindows(path string) (map[string][]nabscore.Window, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var raw map[string][][2]string
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	windows := make(map[string][]nabscore.Window, len(raw))
	for key, spans := range raw {
		list := make([]nabscore.Window, 0, len(spans))
		for _, s := range spans {
			list = append(list, nabscore.Window{First: s[0], Last: s[1]})
		}
		windows[key] = list
	}
	return windows, nil
}
