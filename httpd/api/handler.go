package api

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/internal/calls"
	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/command"
)

// Host is what the handler needs of the program around it.
type Host struct {
	Commands    *command.Registry // what can be called; nil: nothing
	Permissions acl.Permissions   // who may; nil: nobody

	Passwords httpd.Passwords // nil: nobody logs in by one
	Tokens    httpd.Tokens    // nil: nobody logs in by one

	Log *slog.Logger // nil discards
}

// Handler answers calls. Create it with New. It is safe for concurrent use.
type Handler struct {
	gate      *calls.Gate
	failures  *netserve.Sampler // attempts to log in
	version   atomic.Int64      // Options.DefaultVersion
	exchanges sync.Pool         // of *exchange
}

// New returns a Handler with the options of Defaults.
func New(h Host) *Handler {
	a := &Handler{
		gate:      calls.New(h.Commands, h.Permissions, h.Passwords, h.Tokens, h.Log),
		failures:  netserve.NewSampler(h.Log, "further authentications failed"),
		exchanges: sync.Pool{New: func() any { return new(exchange) }},
	}
	a.Configure(Defaults())
	return a
}

// Configure changes the options, for requests that come after it.
func (h *Handler) Configure(o Options) { h.version.Store(int64(o.DefaultVersion)) }

// Bounds of a request.
const (
	maxBody   = 1 << 20
	maxDepth  = 32     // of arrays and objects in one another
	maxValues = 10_000 // of any type
)

// maxKept is how large the buffers may be that are used again.
const maxKept = 64 << 10

// exchange has the buffers of a request and its answer.
type exchange struct {
	body   bytes.Buffer
	answer []byte
}

// target is what a request is about.
type target struct {
	name    string
	version int
	suffix  string // /vN if the part of the path has it that is not the handler's
}

// ServeHTTP answers a call. HEAD is GET without the answer: it runs the command.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("Access-Control-Allow-Headers", "Content-Type, Authorization, X-Admin")
	if r.Method == http.MethodOptions {
		header.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
		header.Set("Access-Control-Max-Age", "86400")
		header.Set("Content-Type", "text/plain")
		return
	}
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	x := h.exchanges.Get().(*exchange)
	defer h.putBack(x)
	status := http.StatusOK
	if err := h.serve(x, w, r); err != nil {
		p := problemOf(err)
		status = p.status
		if status == http.StatusUnauthorized {
			p.challenge(header)
		}
		x.answer = p.append(x.answer[:0])
	}
	header.Set("Content-Length", strconv.Itoa(len(x.answer)))
	w.WriteHeader(status)
	_, _ = w.Write(x.answer) // nobody is left to be told of an error
}

func (h *Handler) putBack(x *exchange) {
	if x.body.Cap() <= maxKept && cap(x.answer) <= maxKept {
		h.exchanges.Put(x)
	}
}

// serve makes the answer to a request that is successful.
func (h *Handler) serve(x *exchange, w http.ResponseWriter, r *http.Request) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	default:
		return &problem{status: http.StatusBadRequest, coded: true, code: codeNoCommand, text: "want GET or POST"}
	}
	info := httpd.InfoOf(r)
	t := h.target(&info)
	if t.name == "" {
		return &problem{status: http.StatusBadRequest, coded: true, code: codeNoCommand, text: "there is no command in the path"}
	}
	caller, foreign, err := h.login(r, &info)
	if err != nil {
		return err
	}
	if t.name == documentName && r.Method != http.MethodPost {
		x.answer, err = appendDocument(x.answer[:0], info.Mount, t, h.gate.List(caller, foreign, t.version))
		return err
	}
	values, err := x.values(w, r)
	if err != nil {
		return err
	}
	find := h.gate.Find
	if foreign {
		find = h.gate.FindForeign
	}
	c, err := find(caller, t.name, t.version, values)
	if err != nil {
		return err
	}
	shape(&c, values)
	result, err := h.gate.Run(r.Context(), caller, &c, values)
	if err != nil {
		return err
	}
	x.answer = appendResult(x.answer[:0], &c.Result, result, t.version)
	return nil
}

// target returns what the path of a request says.
func (h *Handler) target(info *httpd.Info) target {
	t := target{version: int(h.version.Load())}
	t.name, _, _ = strings.Cut(info.Rest, "/")
	if v, ok := lastVersion(info.Rest); ok {
		t.version, t.suffix = v, "/v"+strconv.Itoa(v)
	} else if v, ok := lastVersion(info.Mount); ok {
		t.version = v
	}
	return t
}

// lastVersion returns N of the last segment vN of a path. A number that is too large is
// that of the newest version, as all are that no command has.
func lastVersion(p string) (version int, ok bool) {
	for p != "" {
		slash := strings.LastIndexByte(p, '/')
		digits, isV := strings.CutPrefix(p[slash+1:], "v")
		p = p[:max(slash, 0)]
		if !isV || digits == "" || strings.Trim(digits, "0123456789") != "" {
			continue
		}
		v, err := strconv.Atoi(digits)
		if err != nil {
			v = command.Newest
		}
		return v, true
	}
	return 0, false
}

// values returns the arguments of a request as they came.
func (x *exchange) values(w http.ResponseWriter, r *http.Request) (map[string]any, error) {
	if r.Method != http.MethodPost {
		return query(r.URL.RawQuery)
	}
	if r.ContentLength > maxBody {
		return nil, tooLarge()
	}
	x.body.Reset()
	// There is room for what comes, not for what the header promises.
	_, err := x.body.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody))
	var more *http.MaxBytesError
	switch body := x.body.Bytes(); {
	case errors.As(err, &more):
		return nil, tooLarge()
	case err != nil:
		return nil, badRequest("400 Bad Request")
	case len(body) == 0:
		return nil, badRequest("Missing POST data")
	default:
		return parse(body)
	}
}
