package anomalyprocessor

import (
	"fmt"
	"math"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/paramedic-otel/paramedic/internal/binarystate"
	"github.com/paramedic-otel/paramedic/internal/evidence"
	"github.com/paramedic-otel/paramedic/internal/seriesidentity"
	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor/internal/entitydetector"
)

const (
	entityVersion = 1
	// maxEntityText bounds a name in a stored entity.
	maxEntityText = 4 * maxText
	// maxEntitySignals and maxEntityDetectors bound a stored entity.
	maxEntitySignals   = 4096
	maxEntityDetectors = 64
	maxDetectorState   = 64 << 20
)

// append encodes an entity whose signals are settled: these, and what its detectors have learnt.
func (e *entity) append(w *entities, b []byte) ([]byte, error) {
	b = append(b, entityVersion)
	b = appendText(b, resourceText(e.attributes))
	for _, v := range [...]int64{e.arrived, e.first, e.interval, e.phase, e.look, e.abnormal} {
		b = binarystate.AppendUint64(b, uint64(v)) //nolint:gosec // taken back unchanged
	}
	b = binarystate.AppendFloat64(b, e.usual)
	b = binarystate.AppendUint32(b, uint32(len(e.signals))) //nolint:gosec // bounded by max_signals
	for i := range e.signals {
		d := &e.signals[i]
		b = binarystate.AppendUint64(binarystate.AppendUint64(b, d.key.Hi), d.key.Lo)
		b = appendText(appendText(b, []byte(d.signal)), seriesText(d.metric, d.attributes))
		b = binarystate.AppendUint64(b, uint64(d.last)) //nolint:gosec // as above
		b = binarystate.AppendFloat64(b, d.gap)
		b = binarystate.AppendUint32(b, uint32(min(d.seen, math.MaxInt32))) //nolint:gosec // not negative
		b = binarystate.AppendFloat64(binarystate.AppendFloat64(b, d.low), d.high)
	}
	b = binarystate.AppendUint32(b, uint32(len(e.detectors))) //nolint:gosec // as configured
	for i := range e.detectors {
		d := &e.detectors[i]
		b = appendText(b, []byte(w.configured[i].Type))
		open := byte(0)
		if d.open {
			open = 1
		}
		b = append(b, open)
		b = binarystate.AppendUint64(b, uint64(d.onset)) //nolint:gosec // as above
		state, err := d.AppendBinary(nil)
		if err != nil {
			return nil, fmt.Errorf("encode detector %s: %w", w.configured[i].Type, err)
		}
		b = appendText(b, state)
	}
	return b, nil
}

func appendText(b, text []byte) []byte {
	return append(binarystate.AppendUint32(b, uint32(len(text))), text...) //nolint:gosec // bounded by what is kept
}

// restore adds the entity that append encoded. It is refused when there is no room, and when the settings that shape
// vectors are others now; a detector that was not there, or whose state cannot be used, begins anew.
func (w *entities) restore(data []byte) error {
	r := binarystate.NewReader(data)
	if v := r.Byte(); v != entityVersion && r.Err() == nil {
		return fmt.Errorf("entity of version %d, not %d", v, entityVersion)
	}
	e := &entity{attributes: pcommon.NewMap(), series: map[seriesRef]int{}, byKey: map[seriesidentity.Key]int{}}
	readResource(r.Bytes(r.Count(maxEntityText)), e.attributes)
	for _, v := range []*int64{&e.arrived, &e.first, &e.interval, &e.phase, &e.look, &e.abnormal} {
		*v = int64(r.Uint64()) //nolint:gosec // as it was written
	}
	e.usual = r.Float64()
	n := r.Count(maxEntitySignals)
	for i := 0; i < n && r.Err() == nil; i++ {
		d := dimension{key: seriesidentity.Key{Hi: r.Uint64(), Lo: r.Uint64()}, chance: 1}
		d.signal = string(r.Bytes(r.Count(maxEntityText)))
		d.metric, d.attributes = readSeries(r.Bytes(r.Count(maxEntityText)))
		d.last = int64(r.Uint64()) //nolint:gosec // as above
		d.gap, d.seen = r.Float64(), r.Count(math.MaxInt32)
		d.low, d.high = r.Float64(), r.Float64()
		e.byKey[d.key] = i
		e.signals = append(e.signals, d)
	}
	type stored struct {
		open  bool
		onset int64
		state []byte
	}
	states := map[entitydetector.Type]stored{}
	for i, m := 0, r.Count(maxEntityDetectors); i < m && r.Err() == nil; i++ {
		kind := entitydetector.Type(r.Bytes(r.Count(maxEntityText)))
		states[kind] = stored{r.Byte() == 1, int64(r.Uint64()), r.Bytes(r.Count(maxDetectorState))} //nolint:gosec // as above
	}
	if err := r.Close(); err != nil {
		return fmt.Errorf("entity: %w", err)
	}
	key := w.encoder.Resource(e.attributes)
	switch {
	case e.interval < int64(time.Millisecond) || n < 2 || len(e.byKey) != n || e.attributes.Len() == 0 || !(e.usual >= 0):
		return fmt.Errorf("entity: %w", binarystate.ErrInvalid)
	case n > w.settings.MaxSignals || (w.settings.Interval != 0 && int64(w.settings.Interval) != e.interval) || !w.identifies(e.attributes):
		return fmt.Errorf("entity of other settings: %w", errSettings)
	case w.byKey[key] != nil || len(w.byKey) >= w.settings.MaxEntities:
		return fmt.Errorf("entity: %w", errNoRoom)
	}
	made, err := w.detectors(n, time.Duration(e.interval))
	if err != nil {
		return err
	}
	for i := range made {
		if s, ok := states[w.configured[i].Type]; ok && made[i].UnmarshalBinary(s.state) == nil {
			made[i].open, made[i].onset = s.open, s.onset
		}
	}
	e.detectors, e.looked = made, true
	e.vector = entitydetector.Vector{Values: make([]float64, n), Sources: make([]evidence.Source, n, n+len(w.configured))}
	e.shares = make([]float64, n)
	w.byKey[key] = e
	w.held.Store(int64(len(w.byKey)))
	return nil
}

// identifies says whether the attributes are those that identify entities now.
func (w *entities) identifies(attributes pcommon.Map) bool {
	found := 0
	for _, name := range w.settings.By {
		if _, ok := attributes.Get(name); ok {
			found++
		}
	}
	_, last := attributes.Get(w.settings.By[len(w.settings.By)-1])
	return last && found == attributes.Len()
}
