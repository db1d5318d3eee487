package remediationexporter

import (
	"fmt"
	"slices"
	"strings"
)

// choose reads a setting that is one of two or more choices.
func choose[T ~string](into *T, text []byte, setting string, choices ...T) error {
	if slices.Contains(choices, T(text)) {
		*into = T(text)
		return nil
	}
	names := make([]string, 0, len(choices))
	for _, c := range choices {
		names = append(names, string(c))
	}
	last := len(names) - 1
	return fmt.Errorf("%s must be %s or %s, got %.80q", setting, strings.Join(names[:last], ", "), names[last], text)
}
