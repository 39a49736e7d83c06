package jidprep

// Bytes that preparation leaves alone.
const (
	plainLocal    byte = 1 << iota // in a localpart
	plainResource                  // in a resourcepart
	plainLabel                     // in a domainpart, hyphens and dots apart
)

var class = makeClasses()

func makeClasses() (t [256]byte) {
	for c := byte(' '); c < 0x7F; c++ {
		t[c] |= plainResource
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			t[c] |= plainLocal | plainLabel
		case c >= 'A' && c <= 'Z':
		case c == ' ', c == '"', c == '&', c == '\'', c == '/', c == ':', c == '<', c == '>', c == '@':
		default:
			t[c] |= plainLocal
		}
	}
	return t
}

// plain reports whether s has a length that is allowed and consists of bytes that
// preparation leaves alone.
func plain(s string, mask byte) bool {
	for i := range len(s) {
		if class[s[i]]&mask == 0 {
			return false
		}
	}
	return len(s) <= maxPart
}

// plainDomain reports whether s consists of labels of lower-case letters, digits
// and hyphens that are no A-labels or other reserved names (RFC 5890, section
// 2.3.1): no hyphen at either end, and not two as third and fourth character.
func plainDomain(s string) bool {
	start := 0
	for i := range len(s) {
		switch c := s[i]; {
		case class[c]&plainLabel != 0:
		case c == '-':
			if i == start || i+1 == len(s) || s[i+1] == '.' || i == start+3 && s[i-1] == '-' {
				return false
			}
		case c == '.':
			if i == start {
				return false
			}
			start = i + 1
		default:
			return false
		}
	}
	return start < len(s) && len(s) <= maxPart
}
