package logpattern

// isDateWord reports whether a word is the name of a day or a month in three letters, as dates have them.
func isDateWord(text string) bool {
	if len(text) != 3 || text[0] < 'A' || text[0] > 'Z' {
		return false
	}
	switch text {
	case "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec":
		return true
	}
	return false
}

// date takes a date that starts with the name of a day or a month, as "Fri Jun 17 07:07:00 2005", as one value. It returns
// where it ends; 0 when there is none.
func (s *scanner) date(start, end int) int {
	if !isDateWord(s.line[start:end]) {
		return 0
	}
	stop, numbers, at := end, 0, end
	for range 6 {
		for at < len(s.line) && (s.line[at] == ' ' || s.line[at] == ',') && at-stop < 3 {
			at++
		}
		from, digits := at, 0
		for at < len(s.line) && (classOf[s.line[at]]&(classDigit|classColon|classLetter|classSlash|classDash|classDot) != 0) {
			if classOf[s.line[at]]&classDigit != 0 {
				digits++
			}
			at++
		}
		part := s.line[from:at]
		switch {
		case part == "":
		case digits > 0 && classOf[part[0]]&(classDigit|classDash) != 0:
			numbers++
			stop = at
			for classOf[s.line[stop-1]]&classDigit == 0 {
				stop--
			}
			if stop < at {
				at = len(s.line)
			}
			continue
		case isDateWord(part) || part == "UTC" || part == "GMT":
			stop = at
			continue
		}
		break
	}
	if numbers == 0 {
		return 0
	}
	s.addValue(start, stop)
	return stop
}
