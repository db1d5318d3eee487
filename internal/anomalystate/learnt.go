package anomalystate

import (
	"fmt"
	"unsafe"

	"github.com/paramedic-otel/paramedic/internal/baseline"
)

// ModelVersion is the version of what is learnt of a series.
const ModelVersion = 1<<16 | uint32(unsafe.Sizeof(baseline.Series{}))

// AppendSeries appends what was learnt of a series.
func AppendSeries(b []byte, s *baseline.Series) []byte {
	return append(b, (*[unsafe.Sizeof(*s)]byte)(unsafe.Pointer(s))[:]...)
}

// LoadSeries reads what AppendSeries wrote.
func LoadSeries(s *baseline.Series, data []byte) error {
	if len(data) != int(unsafe.Sizeof(*s)) {
		return fmt.Errorf("%w series", ErrCorrupt)
	}
	copy((*[unsafe.Sizeof(*s)]byte)(unsafe.Pointer(s))[:], data)
	return nil
}

// InheritSeries gives a new series what another one has learnt, unless that is in an episode, and says whether it did.
func InheritSeries(to, from *baseline.Series) bool {
	if from.Last() == 0 || from.Abnormal() {
		return false
	}
	*to = *from
	return true
}

// MergeStates returns what two series of one identity have learnt together.
func MergeStates(_, newer []byte) ([]byte, error) { return newer, nil }
