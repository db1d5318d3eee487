package incidentconnector

import (
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

var classNames = [...]string{classEdge: "edge", classLog: "log", classSignal: "signal", classEvent: "event"}

// String names the class in logs.
func (c symptomClass) String() string { return classNames[c] }

// tell logs at debug level what became of a symptom, so that it can be seen afterwards why it is in the incident in which
// it is, or in none.
func (e *engine) tell(message string, s *symptom) {
	entry := e.logger.Check(zapcore.DebugLevel, message)
	if entry == nil {
		return
	}
	fields := []zap.Field{
		zap.Stringer("class", s.class), zap.Stringer("entity", s.entity), zap.String("kind", string(s.kind)), zap.String("signal", s.signal),
		zap.String("what", s.key.what), zap.Time("onset", s.onset), zap.Float64("surprise", s.surprise), zap.Bool("opens", s.opens),
		zap.String("summary", s.summary),
	}
	if s.incident != nil {
		fields = append(fields, zap.String("incident_id", s.incident.state.ID))
	}
	entry.Write(fields...)
}
