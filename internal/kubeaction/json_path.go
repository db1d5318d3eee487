package kubeaction

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxJSONDepth bounds how deep a JSON text may be nested.
const maxJSONDepth = 32

// scalarAt finds the one string, number, boolean or null that a JSON pointer (RFC 6901) leads to, as the bytes from start to
// end of the text. So it can be replaced and all else left as its author wrote it.
func scalarAt(text, pointer string) (start, end int, err error) {
	found := 0
	err = eachScalar(text, func(at string, from, to int) {
		if at == pointer {
			start, end = from, to
			found++
		}
	})
	switch {
	case err != nil:
		return 0, 0, err
	case found == 0:
		return 0, 0, fmt.Errorf("there is no string, number, boolean or null at %s", pointer)
	case found > 1:
		return 0, 0, fmt.Errorf("%s stands for %d values: a name is repeated", pointer, found)
	}
	return start, end, nil
}

// eachScalar calls visit with the pointer and the place of every scalar of a JSON text.
func eachScalar(text string, visit func(pointer string, start, end int)) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := scalarsBelow(d, text, "", 0, visit); err != nil {
		return fmt.Errorf("read JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("read JSON: there is more than one value")
	}
	return nil
}

func scalarsBelow(d *json.Decoder, text, pointer string, depth int, visit func(string, int, int)) error {
	if depth > maxJSONDepth {
		return fmt.Errorf("it is nested more than %d deep", maxJSONDepth)
	}
	start := int(d.InputOffset())
	token, err := d.Token()
	if err != nil {
		return err
	}
	delim, nested := token.(json.Delim)
	if !nested {
		end := int(d.InputOffset())
		start += len(text[start:end]) - len(strings.TrimLeft(text[start:end], " \t\r\n,:"))
		visit(pointer, start, end)
		return nil
	}
	for i := 0; d.More(); i++ {
		name := fmt.Sprint(i)
		if delim == '{' {
			key, err := d.Token()
			if err != nil {
				return err
			}
			name, _ = key.(string)
		}
		name = strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
		if err := scalarsBelow(d, text, pointer+"/"+name, depth+1, visit); err != nil {
			return err
		}
	}
	_, err = d.Token() // the closing bracket
	return err
}

// literal gives text as JSON of the same type as another scalar.
func literal(text, like string) (string, error) {
	switch {
	case strings.HasPrefix(like, `"`):
		quoted, err := json.Marshal(text)
		return string(quoted), err
	case like == "true" || like == "false":
		if text == "true" || text == "false" {
			return text, nil
		}
		return "", fmt.Errorf("it is a boolean, and %q is not", text)
	case like == "null":
		return "", errors.New("it is null, so it has no type to keep to")
	}
	var number json.Number
	if json.Unmarshal([]byte(text), &number) != nil || strings.HasPrefix(text, `"`) || text == "null" {
		return "", fmt.Errorf("it is a number, and %q is not", text)
	}
	return text, nil
}
