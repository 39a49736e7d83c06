package xmlrpc

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/internal/calls"
)

// Bounds of a request.
const (
	maxBody   = 1 << 20
	maxDepth  = 32     // of arrays and structures
	maxValues = 10_000 // of any type
)

// maxKept is how large the buffers may be that are used again.
const maxKept = 64 << 10

// exchange has the buffers of a call and its answer.
type exchange struct {
	body    bytes.Buffer
	decoder decoder
	answer  []byte
}

// ServeHTTP answers a call, which is a POST to any path. What is no call at all has a
// page and a status of 400 (413: too large); else the status is 200, also of faults.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		page(w, http.StatusBadRequest, "400 Bad Request")
		return
	}
	x := h.exchanges.Get().(*exchange)
	defer h.putBack(x)
	err := x.read(w, r)
	var c call
	if err == nil {
		c, err = x.decoder.decode(x.body.Bytes())
	}
	switch {
	case errors.Is(err, errTooLarge):
		page(w, http.StatusRequestEntityTooLarge, "413 Request Entity Too Large")
	case errors.Is(err, errRequest):
		page(w, http.StatusBadRequest, "Malformed Request")
	case err != nil:
		page(w, http.StatusBadRequest, "Malformed XML")
	default:
		info := httpd.InfoOf(r)
		by := caller{
			Subject: acl.Subject{IP: info.Client, From: "ejabberd_xmlrpc"},
			foreign: calls.Foreign(r, info.Host, info.Secure),
		}
		x.answer = h.answer(r.Context(), x.answer[:0], by, c)
		respond(w, http.StatusOK, "text/xml; charset=utf-8", x.answer)
	}
}

var errTooLarge = errors.New("the request is too large")

// read reads the body of a request. It makes room for what comes, not for what the
// header promises.
func (x *exchange) read(w http.ResponseWriter, r *http.Request) error {
	if r.ContentLength > maxBody {
		return errTooLarge
	}
	x.body.Reset()
	_, err := x.body.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errTooLarge
	}
	return err
}

func (h *Handler) putBack(x *exchange) {
	if x.body.Cap() > maxKept || cap(x.answer) > maxKept || !x.decoder.reset() {
		return
	}
	h.exchanges.Put(x)
}

func page(w http.ResponseWriter, status int, text string) {
	respond(w, status, "text/html; charset=utf-8", []byte("<h1>"+text+"</h1>"))
}

func respond(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	// Nobody is left to be told of an error.
	_, _ = w.Write(body)
}
