// Package authproxypage shows a page by itself, without asking anybody. Traefik has no middleware for that, and needs one for the time
// while the gateway is away.
package authproxypage

import (
	"context"
	"net"
	"net/http"
	"strings"
)

// Page is a text and its content security policy.
type Page struct {
	Policy string `json:"policy,omitempty"`
	Body   string `json:"body,omitempty"`
}

// Config has the pages by "host language"; " sl" and " en" are those of every other host.
type Config struct {
	Pages map[string]Page `json:"pages,omitempty"`
}

// CreateConfig makes an empty configuration.
func CreateConfig() *Config {
	return &Config{Pages: map[string]Page{}}
}

type shown struct {
	pages map[string]Page
}

// New makes the handler. It never calls the next one.
func New(_ context.Context, _ http.Handler, config *Config, _ string) (http.Handler, error) {
	return &shown{pages: config.Pages}, nil
}

const problem = `{"type": "about:blank", "title": "Temporarily unavailable", "status": 503, "reason": "unexpected"}` + "\n"

func (s *shown) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	header := answer.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Retry-After", "5")
	body := problem
	if isPerson(request.Header) {
		page := s.pageOf(request)
		header.Set("Content-Type", "text/html; charset=utf-8")
		header.Set("Content-Security-Policy", page.Policy)
		body = page.Body
	} else {
		header.Set("Content-Type", "application/problem+json; charset=utf-8")
	}
	answer.WriteHeader(http.StatusServiceUnavailable)
	if request.Method != http.MethodHead {
		_, _ = answer.Write([]byte(body))
	}
}

func (s *shown) pageOf(request *http.Request) Page {
	host := request.Header.Get("X-Forwarded-Host")
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	language := " sl"
	if strings.HasPrefix(strings.ToLower(request.Header.Get("Accept-Language")), "en") {
		language = " en"
	}
	if page, ok := s.pages[strings.ToLower(host)+language]; ok {
		return page
	}
	return s.pages[language]
}

// isPerson is the gateway's own rule: no browser sends a token when it opens a page.
func isPerson(header http.Header) bool {
	if strings.HasPrefix(strings.ToLower(header.Get("Authorization")), "bearer") || header.Get("X-Requested-With") != "" {
		return false
	}
	mode := header.Get("Sec-Fetch-Mode")
	return mode == "navigate" || (mode == "" && strings.Contains(strings.ToLower(header.Get("Accept")), "text/html"))
}
