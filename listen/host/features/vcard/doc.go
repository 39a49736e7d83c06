// Package vcard keeps the business card of an account (vcard-temp, XEP-0054,
// version 1.3) and shows it to everybody.
package vcard

// NS is the namespace of the requests, whose element is vCard, and the feature
// that service discovery lists.
const NS = "vcard-temp"
