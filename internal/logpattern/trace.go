package logpattern

import "strings"

const (
	// topFrames is how many frames of a stack trace are in its template, maxCauses how many types of causes.
	topFrames, maxCauses = 3, 3
	// maxTraceLines is how many lines of a text are searched for frames.
	maxTraceLines = 100
)

// trace returns a stack trace as what stands before it, the exception's type, the top frames and the types of the causes,
// and from which offset on that is literal; 0 where the text has no stack trace. It knows the traces of Java and
// JavaScript, .NET, Python, Ruby and Go.
func (m *Miner) trace(text string) (string, int) {
	var frames [topFrames]string
	var causes [maxCauses]string
	n, causeCount, headEnd, goRoutine := 0, 0, -1, false
	last, python := "", ""
	rest, offset := text, 0
	for range maxTraceLines {
		if rest == "" {
			break
		}
		line, after, _ := strings.Cut(rest, "\n")
		lineStart := offset
		offset += len(rest) - len(after)
		rest = after
		trimmed := strings.TrimSpace(line)
		var frame string
		switch {
		case strings.HasPrefix(trimmed, "goroutine ") && strings.HasSuffix(trimmed, ":"):
			goRoutine = true
			if headEnd < 0 {
				headEnd = lineStart
			}
			continue
		case strings.HasPrefix(trimmed, "Traceback ("):
			if headEnd < 0 {
				headEnd = lineStart
			}
			continue
		case goRoutine && strings.HasSuffix(trimmed, ")") && !strings.HasPrefix(trimmed, "panic(") && !strings.HasPrefix(trimmed, "runtime."):
			frame = trimmed[:strings.LastIndexByte(trimmed, '(')]
		case goRoutine:
			continue
		default:
			frame = frameOf(trimmed)
		}
		if frame == "" {
			if cause, ok := strings.CutPrefix(trimmed, "Caused by: "); ok && n > 0 && causeCount < maxCauses {
				causes[causeCount] = typeOf(cause)
				causeCount++
			}
			if python != "" && !strings.HasPrefix(line, " ") && isFailure(typeOf(trimmed)) {
				// The type of an exception of Python follows its frames.
				last, python = typeOf(trimmed), ""
			}
			continue
		}
		if headEnd < 0 {
			headEnd = lineStart
		}
		if strings.HasPrefix(trimmed, "File ") {
			// The top frame comes last.
			python = trimmed
			copy(frames[1:], frames[:])
			frames[0] = frame
			n = min(n+1, topFrames)
		} else if n < topFrames {
			frames[n] = frame
			n++
		}
	}
	if n == 0 {
		return "", 0
	}
	m.buf = appendHead(m.buf[:0], text[:headEnd])
	literal := len(m.buf)
	if last != "" {
		m.buf = append(append(m.buf, ' '), last...)
	}
	for _, f := range frames[:n] {
		m.buf = appendFrame(append(m.buf, " at "...), f)
	}
	for _, c := range causes[:causeCount] {
		m.buf = appendFrame(append(m.buf, " caused by "...), c)
	}
	return string(m.buf), max(literal, 1)
}

// frameOf returns the function of a line of a stack trace, "" where it is none.
func frameOf(line string) string {
	if rest, ok := strings.CutPrefix(line, "at "); ok {
		end := strings.IndexAny(rest, "(")
		if end < 0 {
			end = len(rest)
		}
		rest = strings.TrimSpace(rest[:end])
		if strings.Count(rest, " ") > 1 {
			return "" // a sentence
		}
		return rest[strings.LastIndexByte(rest, ' ')+1:]
	}
	if rest, ok := strings.CutPrefix(line, `File "`); ok {
		file, place, ok := strings.Cut(rest, `"`)
		if !ok || !strings.Contains(place, "line ") {
			return ""
		}
		name := file[strings.LastIndexByte(file, '/')+1:]
		if at := strings.LastIndex(place, ", in "); at >= 0 {
			name += ":" + place[at+len(", in "):]
		}
		return name
	}
	if rest, ok := strings.CutPrefix(line, "from "); ok {
		if file, name, ok := strings.Cut(rest, ":in "); ok {
			file, _, _ = strings.Cut(file[strings.LastIndexByte(file, '/')+1:], ":")
			return file + ":" + strings.Trim(name, "`'")
		}
	}
	return ""
}

// typeOf returns the type that a line such as "java.io.IOException: no space" starts with.
func typeOf(line string) string {
	if end := strings.IndexAny(line, ": \t\r"); end >= 0 {
		return line[:end]
	}
	return line
}

// appendHead appends what stands before a stack trace, up to the type of the exception: its message varies.
func appendHead(dst []byte, head string) []byte {
	for at := 0; at < len(head); {
		colon := strings.IndexByte(head[at:], ':')
		if colon < 0 {
			break
		}
		at += colon
		if isFailure(strings.TrimRight(head[:at], " ")) {
			return append(append(dst, head[:at]...), ": "+Wildcard...)
		}
		at++
	}
	return append(dst, strings.TrimSpace(head)...)
}

// appendFrame appends a function's name with the numbers that compilers and runtimes put into it as wildcards.
func appendFrame(dst []byte, frame string) []byte {
	for i := 0; i < len(frame); {
		end := i
		for end < len(frame) && classOf[frame[end]]&classDigit != 0 {
			end++
		}
		switch {
		case end-i > 1:
			dst = append(dst, Wildcard...)
			i = end
		case classOf[frame[i]]&classSpace != 0:
			i++
		default:
			dst = append(dst, frame[i])
			i++
		}
	}
	return dst
}
