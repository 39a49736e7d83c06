package register

import (
	"math"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// checkStrength refuses a password that is weaker than password_strength.
func (r *request) checkStrength(password string) error {
	if entropy(password) < float64(r.options.PasswordStrength) {
		return &stanza.Error{Condition: stanza.NotAcceptable, Text: "the password is too weak: make it longer, or mix letters, digits and signs"}
	}
	return nil
}

// entropy estimates how many bits a password has, as if its characters were
// drawn from all the classes of which it has one: digits, small letters,
// capital letters, signs, others.
func entropy(password string) float64 {
	var digit, small, capital, sign, other, n float64
	for _, c := range password {
		n++
		switch {
		case c >= '0' && c <= '9':
			digit = 10
		case c >= 'a' && c <= 'z':
			small = 26
		case c >= 'A' && c <= 'Z':
			capital = 26
		case c > ' ' && c <= '~':
			sign = 32
		default:
			other = 128
		}
	}
	if n == 0 {
		return 0
	}
	return n * math.Log2(digit+small+capital+sign+other)
}
