package auditchain

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLines(t *testing.T) {
	_, all := filled(t, usual, 3)
	var b bytes.Buffer
	require.NoError(t, Write(&b, all...))
	assert.Equal(t, `{"seq":1,"time":"2026-03-02T10:00:00Z","kind":"action.started","incident":"incident 0","fields":{"node":"a","uid":"0"},"prev":"`+
		Genesis().Hash+`","hash":"`+all[0].Hash+`"}`, strings.SplitN(b.String(), "\n", 2)[0])
	for _, in := range []string{b.String(), strings.TrimSuffix(b.String(), "\n")} {
		records, err := readAll(in, 1000)
		require.NoError(t, err)
		assert.Equal(t, all, records)
		require.NoError(t, Verify(records, Genesis()))
	}
}

func readAll(in string, maxLine int) ([]Record, error) {
	r := NewReader(strings.NewReader(in), maxLine)
	var out []Record
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			if _, again := r.Next(); again != err { //nolint:errorlint // it is the very same
				return out, errors.New("an error is not for good")
			}
			return out, err
		}
		out = append(out, rec)
		if r.Line() != len(out) {
			return out, errors.New("wrong line")
		}
	}
}

func TestBrokenLines(t *testing.T) {
	_, all := filled(t, usual, 2)
	var b bytes.Buffer
	require.NoError(t, Write(&b, all...))
	whole := b.String()
	const asWritten = "line 1: it must be written as the audit is written, with each name once, in order, and nothing else"
	for name, c := range map[string]struct {
		in, err string
		records int
	}{
		"cut off":         {whole[:len(whole)-10], "line 2: it was cut off: unexpected end of JSON input", 1},
		"empty line":      {"\n" + whole, "line 1: unexpected end of JSON input", 0},
		"not JSON":        {whole + "hello\n", "line 3: invalid character 'h' looking for beginning of value", 2},
		"a name twice":    {strings.Replace(whole, `"kind":`, `"kind":"action.approved","kind":`, 1), asWritten, 0},
		"another name":    {strings.Replace(whole, `"kind":`, `"note":"x","kind":`, 1), asWritten, 0},
		"a name's case":   {strings.Replace(whole, `"kind":`, `"Kind":`, 1), asWritten, 0},
		"spaces":          {strings.Replace(whole, `,"kind":`, `, "kind":`, 1), asWritten, 0},
		"another zone":    {strings.Replace(whole, `10:00:00Z`, `11:00:00+01:00`, 1), asWritten, 0},
		"a line too long": {whole, "line 1: it must be at most 100 bytes long", 0},
	} {
		t.Run(name, func(t *testing.T) {
			maxLine := 1000
			if name == "a line too long" {
				maxLine = 100
			}
			records, err := readAll(c.in, maxLine)
			require.EqualError(t, err, c.err)
			assert.Len(t, records, c.records)
		})
	}
}

func TestLongLinesAreNotKept(t *testing.T) {
	endless := io.MultiReader(strings.NewReader(`{"kind":"`), zeros{})
	_, err := NewReader(endless, 10_000).Next()
	require.EqualError(t, err, "line 1: it must be at most 10000 bytes long")
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = '0'
	}
	return len(b), nil
}

func TestReadAndWriteErrors(t *testing.T) {
	_, all := filled(t, usual, 1)
	require.EqualError(t, Write(failing{}, all...), "write record 1: the disk is full")
	_, err := NewReader(failing{}, 1000).Next()
	require.EqualError(t, err, "line 1: the disk is gone")
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }
func (failing) Read([]byte) (int, error)  { return 0, errors.New("the disk is gone") }

// FuzzReader: what is read is written the same again.
func FuzzReader(f *testing.F) {
	_, all := filled(f, usual, 2)
	var b bytes.Buffer
	require.NoError(f, Write(&b, all...))
	f.Add(b.String())
	f.Add(`{"seq":1,"time":"0001-01-01T00:00:00Z","kind":"<&>\u2028","prev":"","hash":""}`)
	f.Fuzz(func(t *testing.T, in string) {
		records, err := readAll(in, 1000)
		if err != nil {
			require.Contains(t, err.Error(), "line ")
			return
		}
		_ = Verify(records, Anchor{})
		var again bytes.Buffer
		require.NoError(t, Write(&again, records...))
		require.Equal(t, strings.TrimSuffix(in, "\n"), strings.TrimSuffix(again.String(), "\n"))
	})
}

func BenchmarkAppend(b *testing.B) {
	c := chain(b, Limits{MaxRecords: 1000, MaxBytes: 1000, MaxFields: 10})
	e := Entry{Kind: "action.started", Incident: "incident", Text: strings.Repeat("x", 200), Fields: map[string]string{"uid": "1", "node": "a"}}
	b.ReportAllocs()
	for b.Loop() {
		c.Append(epoch, e)
	}
}
