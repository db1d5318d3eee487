package logpattern

import "strings"

// tally counts the bytes of a piece by class.
type tally struct {
	digits, letters, hex, colons, slashes, backslashes, dots, ats int
}

// The counters of a tally are eight bits each of one number, so that a byte costs one addition.
const (
	tallyDigit = 8 * iota
	tallyLetter
	tallyHex
	tallyColon
	tallySlash
	tallyBack
	tallyDot
	tallyAt
	// tallyBytes is how many bytes are counted at most.
	tallyBytes = 255
)

var tallyStep = func() (t [256]uint64) {
	for i, class := range classOf {
		switch {
		case class&classDigit != 0:
			t[i] = 1 << tallyDigit
		case class&classHex != 0:
			t[i] = 1<<tallyHex | 1<<tallyLetter
		case class&classOther != 0:
			t[i] = 1 << tallyLetter
		case class&classColon != 0:
			t[i] = 1 << tallyColon
		case class&classSlash != 0:
			t[i] = 1 << tallySlash
		case class&classBack != 0:
			t[i] = 1 << tallyBack
		case class&classDot != 0:
			t[i] = 1 << tallyDot
		case class&classAt != 0:
			t[i] = 1 << tallyAt
		}
	}
	return t
}()

func tallyOf(text string) tally {
	sum := uint64(0)
	for i := range min(len(text), tallyBytes) {
		sum += tallyStep[text[i]]
	}
	at := func(shift int) int { return int(sum >> shift & 0xff) }
	return tally{
		digits: at(tallyDigit), letters: at(tallyLetter), hex: at(tallyHex), colons: at(tallyColon),
		slashes: at(tallySlash), backslashes: at(tallyBack), dots: at(tallyDot), ats: at(tallyAt),
	}
}

// digitsIn returns where the first digit of a piece stands, and whether its digits are one run with letters on both sides.
func digitsIn(text string) (first int, runs int, inside bool) {
	first, inside = -1, true
	digit := false
	for i := range len(text) {
		class := classOf[text[i]]
		if class&classDigit != 0 {
			if !digit {
				runs++
				inside = inside && i > 0
			}
			if first < 0 {
				first = i
			}
		} else if digit && class&(classLetter|classJoin) == 0 {
			inside = false
		}
		digit = class&classDigit != 0
	}
	return first, runs, inside && !digit
}

// manyDigits reports whether a text has more digits than a name has.
func manyDigits(text string) bool {
	n := 0
	for i := range len(text) {
		if c := text[i]; c >= '0' && c <= '9' {
			n++
		}
	}
	return n > nameDigits
}

// isPlain reports whether a text is of letters and what goes on within a word.
func isPlain(text string) bool {
	letters := uint16(0)
	for i := range len(text) {
		class := classOf[text[i]]
		if class&^classPlain != 0 {
			return false
		}
		letters |= class & classLetter
	}
	return letters != 0
}

// isHexText reports whether a text is of hexadecimal letters alone.
func isHexText(text string) bool {
	for i := range len(text) {
		if classOf[text[i]] != classHex {
			return false
		}
	}
	return true
}

func isASCII(text string) bool {
	for i := range len(text) {
		if classOf[text[i]]&classHigh != 0 {
			return false
		}
	}
	return true
}

// isHex reports whether a piece is a hexadecimal number.
func isHex(text string, t tally) bool {
	if t.hex == t.letters && t.hex+t.digits == len(text) {
		return len(text) >= hexWord
	}
	return false
}

// isKeyName reports whether a text is of letters and what joins them.
func isKeyName(text string) bool {
	for i := range len(text) {
		if classOf[text[i]]&^(classPlain|classDash) != 0 {
			return false
		}
	}
	return true
}

// isFailure reports whether a name is that of an exception or an error, which tells messages apart.
func isFailure(name string) bool {
	return strings.HasSuffix(name, "Exception") || strings.HasSuffix(name, "Error")
}

// isSource reports whether a name is that of a source file.
func isSource(name string) bool {
	dot := strings.LastIndexByte(name, '.')
	if dot <= 0 || strings.IndexByte(name, '/') >= 0 {
		return false
	}
	switch name[dot+1:] {
	case "go", "java", "kt", "scala", "py", "rb", "js", "ts", "tsx", "jsx", "mjs", "c", "cc", "cpp", "cxx", "h", "hpp", "rs", "php", "cs", "swift", "ex", "erl", "pl", "lua":
		return true
	default:
		return false
	}
}
