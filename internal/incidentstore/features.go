package incidentstore

import (
	"encoding/binary"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
)

// feature is something that an incident is known by: a hash of it, with its class in the lowest bits.
type feature int64

// class is a sort of features.
type class uint8

// The classes of features. How much each counts is in classWeights.
const (
	// classCause is the first cause with its kind, classEntity the first cause alone, classKind its kind alone.
	classCause class = iota
	classEntity
	classKind
	// classSignal is a signal of the first cause that is abnormal, and which way; classTemplate what is said of it, without numbers.
	classSignal
	classTemplate
	// classOther is a signal of another cause.
	classOther
	// classReach is an affected service or an entry point, classChange what was changed.
	classReach
	classChange

	classes   = 8
	classMask = classes - 1
)

// classWeights say how much a feature of a class counts, before how rare it is. They were chosen with benchmark/similar on seed 1
// alone.
var classWeights = [classes]float64{
	classCause: 4, classEntity: 4, classKind: 1, classSignal: 2, classTemplate: 3, classOther: 0.25, classReach: 0.5, classChange: 3,
}

func (f feature) class() class { return class(f & classMask) }

// maxFeatures bounds those of an incident; those of the first cause come first.
const maxFeatures = 96

// featuresOf returns what an incident is known by, sorted.
func featuresOf(inc *eventdata.Incident) []feature {
	var out []feature
	add := func(c class, parts ...string) {
		h := fnv.New64a()
		var size [8]byte
		for _, p := range append([]string{string(rune('0' + c))}, parts...) {
			// The lengths keep the parts apart.
			binary.BigEndian.PutUint64(size[:], uint64(len(p)))
			h.Write(size[:])
			h.Write([]byte(p))
		}
		f := feature(h.Sum64()&^classMask | uint64(c)) //nolint:gosec // all bits are kept
		if len(out) < maxFeatures && !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	for n, c := range inc.Causes {
		entity := string(c.Entity.Type) + ":" + c.Entity.Name
		if n == 0 {
			add(classCause, entity, string(c.Kind))
			add(classEntity, entity)
			add(classKind, string(c.Kind))
			if c.Change != nil {
				add(classChange, entity, c.Change.Kind)
			}
		}
		for _, e := range c.Evidence {
			way := "up"
			if e.Deviation < 0 {
				way = "down"
			}
			if n > 0 {
				add(classOther, entity, e.Signal, string(e.Kind), way)
				continue
			}
			add(classSignal, entity, e.Signal, string(e.Kind), way)
			add(classTemplate, entity, template(e.Summary))
		}
	}
	for _, s := range inc.Impact.Services {
		add(classReach, "affected", s)
	}
	for _, s := range inc.EntryPoints {
		add(classReach, "entry", s)
	}
	slices.Sort(out)
	return out
}

// template is a sentence without its numbers, names of pods and other words that hold a digit: what stays the same when it is said
// again.
func template(sentence string) string {
	var b strings.Builder
	for n, w := range strings.Fields(sentence) {
		if n > 0 {
			b.WriteByte(' ')
		}
		if strings.ContainsAny(w, "0123456789") {
			w = "<*>"
		}
		b.WriteString(w)
	}
	return b.String()
}

// encodeFeatures writes sorted features.
func encodeFeatures(fs []feature) []byte {
	b := make([]byte, 0, 8*len(fs))
	for _, f := range fs {
		b = binary.BigEndian.AppendUint64(b, uint64(f)) //nolint:gosec // all bits are kept
	}
	return b
}

// decodeFeatures reads what encodeFeatures wrote; what is cut off is left out.
func decodeFeatures(b []byte) []feature {
	fs := make([]feature, 0, len(b)/8)
	for ; len(b) >= 8; b = b[8:] {
		fs = append(fs, feature(binary.BigEndian.Uint64(b))) //nolint:gosec // all bits are kept
	}
	return fs
}

// withEarlier adds what an incident was known by before: a leak that ends in full processors is still known by the memory with which it
// began. How far it reaches now is all that counts of that.
func withEarlier(fs, earlier []feature) []feature {
	for _, f := range earlier {
		if c := f.class(); c != classReach && c != classOther && len(fs) < maxFeatures && !slices.Contains(fs, f) {
			fs = append(fs, f)
		}
	}
	slices.Sort(fs)
	return fs
}

// recordFeatures stores what an incident is known by.
func (t *tx) recordFeatures(num, started int64, fs []feature) error {
	var old []byte
	if _, err := t.get("SELECT features FROM signatures WHERE incident = ?", []any{num}, &old); err != nil {
		return err
	}
	known := decodeFeatures(old)
	fs = withEarlier(fs, known)
	for _, f := range known {
		if _, there := slices.BinarySearch(fs, f); !there {
			if _, err := t.exec("DELETE FROM features WHERE feature = ? AND incident = ?", int64(f), num); err != nil {
				return err
			}
		}
	}
	for _, f := range fs {
		if _, there := slices.BinarySearch(known, f); !there {
			if _, err := t.exec("INSERT INTO features (feature, incident) VALUES (?, ?) ON CONFLICT DO NOTHING", int64(f), num); err != nil {
				return err
			}
		}
	}
	_, err := t.exec(`INSERT INTO signatures (incident, started_at, features) VALUES (?, ?, ?)
ON CONFLICT (incident) DO UPDATE SET started_at = excluded.started_at, features = excluded.features`, num, started, encodeFeatures(fs))
	return err
}
