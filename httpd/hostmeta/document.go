package hostmeta

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"path"
	"time"
)

// link is a service in both documents (RFC 6415, sections 3.1.1 and A).
type link struct {
	Rel  string `xml:"rel,attr" json:"rel"`
	Href string `xml:"href,attr" json:"href"`
}

// encoder writes a document.
type encoder func([]link) ([]byte, error)

// format returns how to write what the path of a request asks for, and the media type of
// that; nil for anything else.
func format(p string) (encode encoder, kind string) {
	switch path.Base(p) {
	case "host-meta":
		return encodeXRD, "application/xrd+xml; charset=utf-8"
	case "host-meta.json":
		return encodeJSON, "application/json"
	}
	return nil, ""
}

func encodeXRD(links []link) ([]byte, error) {
	text, err := xml.MarshalIndent(struct {
		XMLName xml.Name `xml:"http://docs.oasis-open.org/ns/xri/xrd-1.0 XRD"`
		Links   []link   `xml:"Link"`
	}{Links: links}, "", "  ")
	return append([]byte(xml.Header), append(text, '\n')...), err
}

func encodeJSON(links []link) ([]byte, error) {
	return json.Marshal(map[string][]link{"links": append([]link{}, links...)})
}

// maxAge is how long others may keep an answer, in seconds: so long a change of the
// configuration may stay unnoticed.
const maxAge = "300"

// serve answers with a document, which any page may read (XEP-0156, section 3).
func serve(w http.ResponseWriter, r *http.Request, kind string, body []byte) {
	sum := sha256.Sum256(body)
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cache-Control", "public, max-age="+maxAge)
	h.Set("ETag", `"`+base64.RawURLEncoding.EncodeToString(sum[:12])+`"`)
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}
