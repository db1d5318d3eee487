package logpattern

// Settings bound a Miner and say when words become values.
type Settings struct {
	// MaxTemplates is the number of templates kept; those not seen for longest make room.
	MaxTemplates int
	// MaxMemory is about how many bytes the templates take in all, their indices included; those not seen for longest make
	// room. It bounds what long lines that are all different can cost.
	MaxMemory int
	// MaxBytes is how many bytes of a line are read, MaxTokens how many tokens, 128 at most.
	MaxBytes, MaxTokens int
	// DistinctWords is how many different words must be seen in one place, with all else the same, to be taken for values.
	// DistinctValues is that number where values are to be expected: behind '=', ':' or a preposition, in quotes or
	// brackets, and for dotted and numbered names. DistinctSubjects is that number for the first word of a line.
	DistinctWords, DistinctValues, DistinctSubjects int
	// MaxAliases is how many former IDs are kept in all, MaxPatternAliases how many for one template.
	MaxAliases, MaxPatternAliases int
}

// DefaultSettings fit a node's or a gateway's logs.
func DefaultSettings() Settings {
	return Settings{
		MaxTemplates: 20000, MaxMemory: 64 << 20, MaxBytes: 4096, MaxTokens: 128,
		DistinctWords: 5, DistinctValues: 3, DistinctSubjects: 16, MaxAliases: 40000, MaxPatternAliases: 16,
	}
}

// maxTokens is what MaxTokens may be at most: a template's wildcards are a set of two machine words.
const maxTokens = 128

// bounded returns the settings with what cannot be replaced by the defaults.
func (s Settings) bounded() Settings {
	d := DefaultSettings()
	for _, f := range []struct {
		v           *int
		least, most int
		standard    int
	}{
		{&s.MaxTemplates, 1, 1 << 20, d.MaxTemplates},
		{&s.MaxMemory, 1 << 16, 1 << 34, d.MaxMemory},
		{&s.MaxBytes, 16, 1 << 20, d.MaxBytes},
		{&s.MaxTokens, 1, maxTokens, d.MaxTokens},
		{&s.DistinctWords, 2, 1 << 10, d.DistinctWords},
		{&s.DistinctValues, 2, 1 << 10, d.DistinctValues},
		{&s.DistinctSubjects, 2, 1 << 10, d.DistinctSubjects},
		{&s.MaxAliases, 1, 1 << 22, d.MaxAliases},
		{&s.MaxPatternAliases, 1, 1 << 10, d.MaxPatternAliases},
	} {
		if *f.v == 0 {
			*f.v = f.standard
		}
		*f.v = min(max(*f.v, f.least), f.most)
	}
	return s
}
