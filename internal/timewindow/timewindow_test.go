package timewindow

import (
	"math/rand"
	"testing"
	"time"
	_ "time/tzdata" // the tests know the zones on any machine

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func utc(t *testing.T, s string) time.Time {
	t.Helper()
	if s == "" {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, s)
	require.NoError(t, err, s)
	return at.UTC()
}

// TestContains: 2 March 2026 is a Monday. Berlin's clocks go from 02:00 to 03:00 on 29 March 2026 (01:00 UTC), and from 03:00
// back to 02:00 on 25 October (01:00 UTC). Lord Howe's go by half an hour, from 02:00 back to 01:30 on 5 April (4 April 15:00
// UTC). Apia left out 30 December 2011.
func TestContains(t *testing.T) {
	office := Window{Days: []string{"mon-fri"}, From: "09:00", To: "17:00", Timezone: "Europe/Berlin"}
	night := Window{Days: []string{"fri"}, From: "22:00", To: "06:00", Timezone: "Europe/Berlin"}
	small := Window{From: "02:30", To: "04:00", Timezone: "Europe/Berlin"}
	gap := Window{From: "02:15", To: "02:45", Timezone: "Europe/Berlin"}
	for name, c := range map[string]struct {
		window Window
		at     string
		inside bool
		change string
	}{
		"before the office opens":      {office, "2026-03-02T07:59:59Z", false, "2026-03-02T08:00:00Z"},
		"as it opens":                  {office, "2026-03-02T08:00:00Z", true, "2026-03-02T16:00:00Z"},
		"before it closes":             {office, "2026-03-02T15:59:59Z", true, "2026-03-02T16:00:00Z"},
		"as it closes":                 {office, "2026-03-02T16:00:00Z", false, "2026-03-03T08:00:00Z"},
		"over the weekend":             {office, "2026-03-06T16:00:00Z", false, "2026-03-09T08:00:00Z"},
		"over the weekend of the jump": {office, "2026-03-27T16:00:00Z", false, "2026-03-30T07:00:00Z"},
		"in summer":                    {office, "2026-07-06T07:00:00Z", true, "2026-07-06T15:00:00Z"},

		"friday night":            {night, "2026-03-06T21:00:00Z", true, "2026-03-07T05:00:00Z"},
		"saturday morning":        {night, "2026-03-07T04:59:59Z", true, "2026-03-07T05:00:00Z"},
		"saturday night":          {night, "2026-03-07T21:00:00Z", false, "2026-03-13T21:00:00Z"},
		"friday morning":          {night, "2026-03-06T04:00:00Z", false, "2026-03-06T21:00:00Z"},
		"from the jump on":        {small, "2026-03-29T00:59:59Z", false, "2026-03-29T01:00:00Z"},
		"and not longer":          {small, "2026-03-29T01:00:00Z", true, "2026-03-29T02:00:00Z"},
		"from the first 02:30 on": {small, "2026-10-25T00:30:00Z", true, "2026-10-25T03:00:00Z"},
		"through the second":      {small, "2026-10-25T01:15:00Z", true, "2026-10-25T03:00:00Z"},
		"not before":              {small, "2026-10-25T00:29:59Z", false, "2026-10-25T00:30:00Z"},

		"left out that day":     {gap, "2026-03-28T23:00:00Z", false, "2026-03-30T00:15:00Z"},
		"not even the jump":     {gap, "2026-03-29T01:00:00Z", false, "2026-03-30T00:15:00Z"},
		"to the second 02:45":   {gap, "2026-10-25T00:15:00Z", true, "2026-10-25T01:45:00Z"},
		"half an hour twice":    {Window{From: "01:30", To: "02:00", Timezone: "Australia/Lord_Howe"}, "2026-04-04T14:30:00Z", true, "2026-04-04T15:30:00Z"},
		"a day that was not":    {Window{Days: []string{"fri"}, From: "08:00", To: "17:00", Timezone: "Pacific/Apia"}, "2011-12-30T12:00:00Z", false, "2012-01-05T18:00:00Z"},
		"a whole day":           {Window{Days: []string{"sun"}, From: "00:00", To: "24:00"}, "2026-03-08T00:00:00Z", true, "2026-03-09T00:00:00Z"},
		"a day of 23 hours":     {Window{Days: []string{"sun"}, From: "00:00", To: "24:00", Timezone: "Europe/Berlin"}, "2026-03-28T23:00:00Z", true, "2026-03-29T22:00:00Z"},
		"two whole days":        {Window{Days: []string{"sat", "sun"}, From: "00:00", To: "24:00"}, "2026-03-07T12:00:00Z", true, "2026-03-09T00:00:00Z"},
		"always":                {Window{From: "00:00", To: "24:00"}, "2026-03-07T12:00:00Z", true, ""},
		"days around a weekend": {Window{Days: []string{"Sat-Mon"}, From: "10:00", To: "11:00"}, "2026-03-09T10:30:00Z", true, "2026-03-09T11:00:00Z"},
		"but not on tuesday":    {Window{Days: []string{"sat-mon"}, From: "10:00", To: "11:00"}, "2026-03-10T10:30:00Z", false, "2026-03-14T10:00:00Z"},
		"nights that overlap":   {Window{Days: []string{"sat-sun"}, From: "02:30", To: "02:29", Timezone: "Europe/Berlin"}, "2026-10-25T00:45:00Z", true, "2026-10-26T01:29:00Z"},
		"nights that touch":     {Window{From: "12:00", To: "11:59"}, "2026-03-10T11:59:30Z", false, "2026-03-10T12:00:00Z"},

		"before it starts": {Window{Start: "2026-12-24T18:00:00+01:00", End: "2026-12-27T06:00:00+01:00"}, "2026-12-24T16:59:59Z", false, "2026-12-24T17:00:00Z"},
		"as it starts":     {Window{Start: "2026-12-24T18:00:00+01:00", End: "2026-12-27T06:00:00+01:00"}, "2026-12-24T17:00:00Z", true, "2026-12-27T05:00:00Z"},
		"as it ends":       {Window{Start: "2026-12-24T18:00:00+01:00", End: "2026-12-27T06:00:00+01:00"}, "2026-12-27T05:00:00Z", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.window.Name, c.window.Kind = "w", Deny
			s, err := New([]Window{c.window})
			require.NoError(t, err)
			inside, change := s.Until("w", utc(t, c.at))
			assert.Equal(t, c.inside, inside)
			assert.Equal(t, utc(t, c.change), change.UTC())
			assert.Equal(t, c.inside, s.Contains("w", utc(t, c.at)))
			v := s.Check(utc(t, c.at))
			assert.Equal(t, !c.inside, v.OK)
			assert.Equal(t, utc(t, c.change), v.Until.UTC())
		})
	}
}

func TestCheck(t *testing.T) {
	s, err := New([]Window{
		{Name: "staffed", Kind: Allow, Days: []string{"mon-fri"}, From: "09:00", To: "17:00"},
		{Name: "late", Kind: Allow, Days: []string{"wed"}, From: "16:00", To: "20:00"},
		{Name: "release", Kind: Deny, Days: []string{"wed"}, From: "12:00", To: "13:00"},
		{Name: "release, again", Kind: Deny, Days: []string{"wed"}, From: "12:30", To: "14:00"},
		{Name: "freeze", Kind: Deny, Start: "2026-03-05T16:00:00Z", End: "2026-03-09T12:00:00Z"},
	})
	require.NoError(t, err)
	const closed = "none of the windows in which acting is allowed is open, until "
	for at, want := range map[string]Verdict{
		"2026-03-02T08:00:00Z": {Detail: closed + "2026-03-02T09:00:00Z", Until: utc(t, "2026-03-02T09:00:00Z")},
		"2026-03-02T09:00:00Z": {OK: true, Until: utc(t, "2026-03-02T17:00:00Z")},
		"2026-03-04T10:00:00Z": {OK: true, Until: utc(t, "2026-03-04T12:00:00Z")},
		"2026-03-04T12:00:00Z": {Window: "release", Detail: `the window "release" holds everything back, until 2026-03-04T14:00:00Z`, Until: utc(t, "2026-03-04T14:00:00Z")},
		"2026-03-04T13:30:00Z": {Window: "release, again", Detail: `the window "release, again" holds everything back, until 2026-03-04T14:00:00Z`, Until: utc(t, "2026-03-04T14:00:00Z")},
		"2026-03-04T14:00:00Z": {OK: true, Until: utc(t, "2026-03-04T20:00:00Z")},
		"2026-03-05T16:30:00Z": {Window: "freeze", Detail: `the window "freeze" holds everything back, until 2026-03-09T12:00:00Z`, Until: utc(t, "2026-03-09T12:00:00Z")},
		"2026-03-05T08:00:00Z": {Detail: closed + "2026-03-05T09:00:00Z", Until: utc(t, "2026-03-05T09:00:00Z")},
	} {
		v := s.Check(utc(t, at))
		v.Until = v.Until.UTC()
		assert.Equal(t, want, v, at)
	}
	assert.Equal(t, []string{"release", "release, again", "staffed"}, s.Active(utc(t, "2026-03-04T12:45:00Z")))
	assert.Equal(t, []string{}, s.Active(utc(t, "2026-03-04T03:00:00Z")))
	assert.False(t, s.Contains("unknown", utc(t, "2026-03-04T12:45:00Z")))
}

func TestNoWindows(t *testing.T) {
	s, err := New(nil)
	require.NoError(t, err)
	assert.Equal(t, Verdict{OK: true}, s.Check(utc(t, "2026-03-02T08:00:00Z")))
}

func TestAllowedNeverAgain(t *testing.T) {
	s, err := New([]Window{{Name: "once", Kind: Allow, Start: "2026-03-05T16:00:00Z", End: "2026-03-09T12:00:00Z"}})
	require.NoError(t, err)
	assert.Equal(t, Verdict{Detail: "none of the windows in which acting is allowed is open"}, s.Check(utc(t, "2026-03-10T08:00:00Z")))
	s, err = New([]Window{
		{Name: "always", Kind: Allow, From: "00:00", To: "24:00"},
		{Name: "never", Kind: Deny, From: "00:00", To: "24:00"},
	})
	require.NoError(t, err)
	assert.Equal(t, Verdict{Window: "never", Detail: `the window "never" holds everything back`}, s.Check(utc(t, "2026-03-10T08:00:00Z")))
}

func TestValidate(t *testing.T) {
	for want, w := range map[string]Window{
		`name must be set; it says which window it was that held an action back
kind must be "deny" or "allow", got "maybe"
days must be days such as mon, or ranges such as mon-fri, got "monday"
days must be days such as mon, or ranges such as mon-fri, got "mon-"
from must be a time of the day from 00:00 to 23:59, got "9:00"
to must be a time of the day from 00:00 to 24:00, got "24:01"
timezone must be a name of the IANA database such as Europe/Berlin that this system knows, got "Mars/Olympus"`: {
			Kind: "maybe", Days: []string{"monday", "mon-"}, From: "9:00", To: "24:01", Timezone: "Mars/Olympus",
		},
		`from must be a time of the day from 00:00 to 23:59, got ""
to must be a time of the day from 00:00 to 24:00, got ""`: {Name: "w", Kind: Deny},
		`from must be a time of the day from 00:00 to 23:59, got "24:00"`:                                        {Name: "w", Kind: Deny, From: "24:00", To: "01:00"},
		`to must not be from, got 09:00 twice; for a whole day write from 00:00 to 24:00`:                        {Name: "w", Kind: Deny, From: "09:00", To: "09:00"},
		`timezone must be a name of the IANA database such as Europe/Berlin that this system knows, got "Local"`: {Name: "w", Kind: Deny, From: "09:00", To: "10:00", Timezone: "Local"},
		`a window has start and end, or days, from, to and timezone, and not both; make it two`:                  {Name: "w", Kind: Deny, From: "09:00", To: "10:00", Start: "2026-12-24T18:00:00Z"},
		`end must be a time such as 2026-12-27T06:00:00+01:00, got ""`:                                           {Name: "w", Kind: Deny, Start: "2026-12-24T18:00:00Z"},
		`start must be a time such as 2026-12-24T18:00:00+01:00, got "tomorrow"`:                                 {Name: "w", Kind: Deny, Start: "tomorrow", End: "2026-12-24T18:00:00Z"},
		`end must be after start, got 2026-12-24T18:00:00Z and 2026-12-24T19:00:00+01:00`:                        {Name: "w", Kind: Deny, Start: "2026-12-24T19:00:00+01:00", End: "2026-12-24T18:00:00Z"},
	} {
		assert.EqualError(t, w.Validate(), want)
	}
	_, err := New([]Window{{Name: "w", Kind: Deny, From: "09:00", To: "10:00"}, {Name: "w", Kind: Deny, From: "09:00"}})
	assert.EqualError(t, err, `window 1: to must be a time of the day from 00:00 to 24:00, got ""
window 1: name must be given once, got "w" again`)
}

// TestAgainstTheClockOnTheWall steps through a year by quarters of an hour and looks at the clock on the wall. That is the
// same but for the hours around a change of the clocks, which TestContains works out, so those days are left out.
func TestAgainstTheClockOnTheWall(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	for _, zone := range []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"} {
		loc, err := time.LoadLocation(zone)
		require.NoError(t, err)
		for range 2 {
			from, to := 15*rng.Intn(95), 15*rng.Intn(97)
			if from == to {
				continue
			}
			var days [7]bool
			w := Window{Name: "w", Kind: Deny, From: clock(from), To: clock(to), Timezone: zone}
			for d := range days {
				if days[d] = rng.Intn(2) == 0; days[d] {
					w.Days = append(w.Days, dayNames[d])
				}
			}
			if len(w.Days) == 0 {
				days = [7]bool{true, true, true, true, true, true, true}
			}
			c, err := w.compile()
			require.NoError(t, err)
			length := to - from
			if length < 0 {
				length += day
			}
			steps := 0
			for at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2027; at = at.Add(15 * time.Minute) {
				_, a := at.Add(-48 * time.Hour).In(loc).Zone()
				_, b := at.Add(48 * time.Hour).In(loc).Zone()
				if a != b {
					continue
				}
				local := at.In(loc)
				minute := local.Hour()*60 + local.Minute()
				want := days[local.Weekday()] && minute >= from && minute < from+length ||
					days[(local.Weekday()+6)%7] && minute+day < from+length
				require.Equal(t, want, c.contains(at), "%+v at %s", w, local)
				steps++
			}
			require.Greater(t, steps, 30_000)
		}
	}
}

// TestChangesAreChanges: the answer is the same up to the change that was foretold, and another right then.
func TestChangesAreChanges(t *testing.T) {
	rng := rand.New(rand.NewSource(2))
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"}
	for range 300 {
		var windows []Window
		for i := range 1 + rng.Intn(4) {
			from, to := 15*rng.Intn(95), 15*rng.Intn(97)
			if from == to {
				to = from + 15
			}
			windows = append(windows, Window{
				Name: string(rune('a' + i)), Kind: []Kind{Deny, Allow}[rng.Intn(2)], Days: []string{dayNames[rng.Intn(7)] + "-" + dayNames[rng.Intn(7)]},
				From: clock(from), To: clock(to), Timezone: zones[rng.Intn(len(zones))],
			})
		}
		s, err := New(windows)
		require.NoError(t, err)
		at := time.Date(2026, 1, 1, 0, 0, rng.Intn(365*24*3600), 0, time.UTC)
		v := s.Check(at)
		if v.Until.IsZero() {
			continue
		}
		require.True(t, v.Until.After(at))
		require.NotEqual(t, v.OK, s.Check(v.Until).OK, "%+v", windows)
		for range 20 {
			between := at.Add(time.Duration(rng.Int63n(int64(v.Until.Sub(at)))))
			require.Equal(t, v.OK, s.Check(between).OK, "%+v at %s until %s, but not at %s", windows, at, v.Until, between)
			require.Equal(t, v.Until, s.Check(between).Until)
		}
	}
}

func clock(minute int) string {
	if minute == day {
		return "24:00"
	}
	return time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC).Format("15:04")
}

func FuzzWindow(f *testing.F) {
	f.Add("mon-fri", "22:00", "06:00", "Europe/Berlin", "", "", int64(1772442000))
	f.Add("", "", "", "", "2026-12-24T18:00:00+01:00", "2026-12-27T06:00:00+01:00", int64(0))
	f.Add("sun", "02:15", "02:45", "Africa/Cairo", "", "", int64(-62135596800))
	f.Fuzz(func(t *testing.T, days, from, to, zone, start, end string, seconds int64) {
		w := Window{Name: "w", Kind: Deny, From: from, To: to, Timezone: zone, Start: start, End: end}
		if days != "" {
			w.Days = []string{days}
		}
		s, err := New([]Window{w})
		if err != nil {
			return
		}
		at := time.Unix(seconds%253402300800, 0)
		inside, change := s.Until("w", at)
		require.Equal(t, inside, s.Contains("w", at))
		if !change.IsZero() {
			require.True(t, change.After(at))
			require.NotEqual(t, inside, s.Contains("w", change))
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	s, err := New([]Window{
		{Name: "staffed", Kind: Allow, Days: []string{"mon-fri"}, From: "09:00", To: "17:00", Timezone: "Europe/Berlin"},
		{Name: "release", Kind: Deny, Days: []string{"wed"}, From: "12:00", To: "13:00", Timezone: "America/New_York"},
		{Name: "freeze", Kind: Deny, Start: "2026-03-05T16:00:00Z", End: "2026-03-09T12:00:00Z"},
	})
	require.NoError(b, err)
	at := time.Date(2026, 3, 6, 10, 0, 0, 0, time.UTC)
	b.ReportAllocs()
	for b.Loop() {
		s.Check(at)
	}
}
