package oauth

import (
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// style is that of the pages.
const style = `body{font:1rem/1.5 system-ui,sans-serif;max-width:26rem;margin:3rem auto;padding:0 1rem;color:#222;background:#fff}
label{display:block;margin:1rem 0 .25rem}input,select,button{font:inherit;width:100%;padding:.5rem;box-sizing:border-box}
button{margin-top:1rem}.note{color:#a00}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#222}.note{color:#f99}}`

// The pages have no JavaScript, and nothing comes from elsewhere. The form goes to the
// address of its page without the query, whether that ends with a slash or not.
var pages = template.Must(template.New("").Parse(`{{define "head"}}<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{.}}</title><style>` + style + `</style></head><body><h1>{{.}}</h1>
{{end}}
{{define "form"}}{{template "head" "Let a program in?"}}<p><strong>{{.Name}}</strong>{{if .At}} at <strong>{{.At}}</strong>{{end}} wants to use your account for:</p>
<ul>{{range .Scopes}}<li>{{.}}</li>{{end}}</ul>
{{with .Note}}<p class="note" role="alert">{{.}}</p>{{end}}
<form method="post" action="?">
{{range .Hidden}}<input type="hidden" name="{{index . 0}}" value="{{index . 1}}">
{{end}}<label for="username">Your address</label>
<input id="username" name="username" value="{{.User}}" autocomplete="username" autocapitalize="none" spellcheck="false" maxlength="2048">
<label for="password">Your password</label>
<input id="password" name="password" type="password" autocomplete="current-password" maxlength="1024">
{{if .Times}}<label for="ttl">For how long</label>
<select id="ttl" name="ttl">{{range .Times}}<option value="{{index . 0}}">{{index . 1}}</option>{{end}}</select>
{{end}}<button name="allow" value="yes">Allow</button>
<button name="deny" value="yes">Do not allow</button>
</form></body></html>
{{end}}
{{define "wrong"}}{{template "head" "This does not work"}}<p>{{.}}</p></body></html>
{{end}}`))

// formData is what the form shows.
type formData struct {
	Name, At string // the client, and where its answer goes
	Scopes   []string
	Note     string
	Hidden   [][2]string
	User     string
	Times    [][2]string
}

// times returns for how long a token can be good, as the form offers it.
func times() [][2]string {
	return [][2]string{{"3600", "1 hour"}, {"86400", "1 day"}, {"2592000", "1 month"}, {"31536000", "1 year"}, {"315360000", "10 years"}}
}

// meaning is what a scope lets a program do, for people.
func meaning(scope string) string {
	switch scope {
	case "sasl_auth":
		return "chatting as you, with all that your account has (sasl_auth)"
	case "ejabberd:user":
		return "running commands about your account (ejabberd:user)"
	case "ejabberd:admin":
		return "administering the server, as far as you may (ejabberd:admin)"
	case scopeIntrospect:
		return "seeing what other programs may do in your name (" + scope + ")"
	}
	return "the command " + scope
}

// show shows the form.
func (h *Handler) show(w http.ResponseWriter, a *authorization, status int, user, note string) {
	d := formData{Name: a.client.Name, Note: note, User: user}
	if d.Name == "" {
		d.Name = a.ClientID
	}
	if u, err := url.Parse(a.answerTo); err == nil {
		d.At = u.Host
	}
	for _, s := range a.scopes {
		d.Scopes = append(d.Scopes, meaning(s))
	}
	if a.Type == "token" {
		d.Times = times()
	}
	for _, p := range [][2]string{
		{"response_type", a.Type}, {"client_id", a.ClientID}, {"redirect_uri", a.Redirect}, {"scope", a.Scope}, {"state", a.State},
		{"code_challenge", a.Challenge}, {"code_challenge_method", a.Method},
	} {
		if p[1] != "" {
			d.Hidden = append(d.Hidden, p)
		}
	}
	// What the form leads to counts for browsers, too.
	h.page(w, status, "form", d, "'self' "+source(a.answerTo))
}

// wrong shows what is wrong, to a user who can be sent nowhere.
func (h *Handler) wrong(w http.ResponseWriter, status int, text string) {
	h.page(w, status, "wrong", text, "'none'")
}

// page shows a page that no other one can have in it.
func (h *Handler) page(w http.ResponseWriter, status int, name string, data any, action string) {
	var b strings.Builder
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		h.log.Error("a page could not be made", "err", err)
		http.Error(w, "500 Internal Server Error", http.StatusInternalServerError)
		return
	}
	e := w.Header()
	e.Set("Content-Type", "text/html; charset=utf-8")
	e.Set("Content-Length", strconv.Itoa(b.Len()))
	e.Set("Content-Security-Policy", "default-src 'none'; style-src "+h.style+"; base-uri 'none'; frame-ancestors 'none'; form-action "+action)
	e.Set("X-Frame-Options", "DENY")
	// Without an origin old browsers could not show that a form is sent from this page.
	e.Set("Referrer-Policy", "same-origin")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(b.String()))
}
