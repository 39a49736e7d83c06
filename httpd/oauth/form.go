package oauth

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"unicode/utf8"
)

// form is what a request says, by name.
type form url.Values

var (
	errForm     = errors.New("the body is not a form")
	errTooLarge = errors.New("the body is too large")
)

// body returns the form in the body of a request. The query does not count: what is
// secret has no place there (RFC 6749, section 2.3.1).
func (r *request) body() (form, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, errForm
	}
	text, err := io.ReadAll(r.Body)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, errTooLarge
	}
	if err != nil {
		return nil, errForm
	}
	values, err := url.ParseQuery(string(text))
	if err != nil {
		return nil, errForm
	}
	return form(values), nil
}

// get returns a parameter, "" for one that is not there, or that is empty, which is the
// same (RFC 6749, section 3.1).
func (f form) get(name string) string { return url.Values(f).Get(name) }

// clear reports whether no parameter is there more than once (RFC 6749, section 3.1),
// and all are text.
func (f form) clear() bool {
	for name, values := range f {
		if len(values) > 1 || !utf8.ValidString(name) || !utf8.ValidString(values[0]) {
			return false
		}
	}
	return true
}
