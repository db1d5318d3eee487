package anomalyprocessor

import (
	"unsafe"

	"github.com/paramedic-otel/paramedic/internal/anomalystate"
	"github.com/paramedic-otel/paramedic/internal/baseline"
)

// modelVersion is the version of what is learnt.
const modelVersion = 1<<16 | uint32(unsafe.Sizeof(baseline.Series{}))

func appendSeries(b []byte, s *baseline.Series) []byte {
	return append(b, (*[unsafe.Sizeof(*s)]byte)(unsafe.Pointer(s))[:]...)
}

func loadSeries(s *baseline.Series, data []byte) error {
	if len(data) != int(unsafe.Sizeof(*s)) {
		return anomalystate.ErrCorrupt
	}
	copy((*[unsafe.Sizeof(*s)]byte)(unsafe.Pointer(s))[:], data)
	return nil
}

// inheritSeries gives a new series what another one has learnt, unless that is in an episode, and says whether it did.
func inheritSeries(to, from *baseline.Series) bool {
	if from.Last() == 0 || from.Abnormal() {
		return false
	}
	*to = *from
	return true
}
