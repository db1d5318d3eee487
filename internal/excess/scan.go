package excess

// Options say what a [Scan] looks for.
type Options struct {
	// MinEvents is the least number of events that count as an excess, or, for a lack, the least number expected.
	MinEvents float64
	// MinRatio is how many times the expectation an excess must reach, or what part of it (1/MinRatio) a lack may
	// not exceed; at least 1.
	MinRatio float64
	// Share says that the events are a part of the exposure, as failed requests are of all requests; see [AboveShare].
	Share bool
	// Prior is what is believed of a share before anything is known, in events and trials; nothing means Jeffreys' prior.
	Prior Cell
	// MaxCells bounds the length of the windows; 0 does not.
	MaxCells int
	// Dispersion is variance over mean of the counts in normal operation; values below 1 count as 1.
	Dispersion float64
}

// Verdict is the most surprising window that a [Scan] found.
type Verdict struct {
	// Surprise is -log10 of the window's probability, 0 when no window qualified.
	Surprise float64
	// Window is the number of cells in it, counted back from the newest.
	Window int
	// Now is what was counted in it, and Expected what the past let expect.
	Now      Cell
	Expected float64
	// Past is what it was compared with.
	Past Cell
}

// windows are the lengths, in cells, that a Scan tries.
var windows = [...]int{1, 2, 3, 4, 6, 9, 12, 18}

// MaxWindow is the longest window, in cells, that a Scan tries.
const MaxWindow = 18

// ScanAbove looks for the window ending with the newest cell in which there were most surprisingly many events. Cells
// are ordered by time, the newest last. The past of a window is base and those cells which lie more than one cell before
// it and for which usable is true.
func ScanAbove(cells []Cell, usable []bool, base Cell, o Options) Verdict {
	if recentEvents(cells) < max(o.MinEvents, 1) {
		return Verdict{}
	}
	prior := o.Prior
	if prior.Exposure <= 0 {
		prior = jeffreys
	}
	return scan(cells, usable, base, o, func(now, past Cell, expected, dispersion float64) float64 {
		if now.Events < o.MinEvents || now.Events < o.MinRatio*expected {
			return 0
		}
		if o.Share {
			return aboveShare(now, past, prior, dispersion)
		}
		return Above(now, past, dispersion)
	})
}

// ScanBelow looks for the window with most surprisingly few events; see [ScanAbove].
func ScanBelow(cells []Cell, usable []bool, base Cell, o Options) Verdict {
	return scan(cells, usable, base, o, func(now, past Cell, expected, dispersion float64) float64 {
		if expected < o.MinEvents || now.Events > 0 && now.Events*o.MinRatio > expected {
			return 0
		}
		return Below(now, past, dispersion)
	})
}

// recentEvents returns the events of the longest window.
func recentEvents(cells []Cell) float64 {
	sum := 0.0
	for _, c := range cells[max(0, len(cells)-MaxWindow):] {
		sum += c.Events
	}
	return sum
}

func scan(cells []Cell, usable []bool, base Cell, o Options, judge func(now, past Cell, expected, dispersion float64) float64) Verdict {
	dispersion := max(o.Dispersion, 1)
	// past starts as everything and loses, window by window, the cells that come to lie in the window or next to it.
	past := base
	for i, c := range cells {
		if usable[i] {
			past.Events += c.Events
			past.Exposure += c.Exposure
		}
	}
	var best Verdict
	var now Cell
	taken, excluded := 0, 0
	for _, w := range windows {
		if w > len(cells) || o.MaxCells > 0 && w > o.MaxCells {
			break
		}
		for ; taken < w; taken++ {
			c := cells[len(cells)-1-taken]
			now.Events += c.Events
			now.Exposure += c.Exposure
		}
		for ; excluded < min(w+1, len(cells)); excluded++ {
			i := len(cells) - 1 - excluded
			if usable[i] {
				past.Events = max(0, past.Events-cells[i].Events)
				past.Exposure = max(0, past.Exposure-cells[i].Exposure)
			}
		}
		expected := Expected(now.Exposure, past)
		if s := judge(now, past, expected, dispersion); s > best.Surprise {
			best = Verdict{Surprise: s, Window: w, Now: now, Expected: expected, Past: past}
		}
	}
	return best
}
