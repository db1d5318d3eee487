package remediationexporter

import (
	"encoding"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/playbook"
)

func TestChoices(t *testing.T) {
	for want, into := range map[string]encoding.TextUnmarshaler{
		`mode must be observe, suggest, approve or auto, got "x"`: new(Mode),
		`on_failure must be next, rollback or escalate, got "x"`:  new(OnFailure),
		`from must be cause, entry_point or named, got "x"`:       new(TargetSource),
		`of must be target, incident or any, got "x"`:             new(Relation),
		`stat must be value, rate, mean or quantile, got "x"`:     new(Statistic),
	} {
		require.EqualError(t, into.UnmarshalText([]byte("x")), want)
	}
	var o OnFailure
	require.NoError(t, o.UnmarshalText([]byte("rollback")))
	assert.Equal(t, OnFailure(playbook.RollBack), o)
}
