// Package tollgate asks a Tollgate sidecar for decisions. Standard library only.
package tollgate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// Client asks one sidecar. It is safe for use by several goroutines.
type Client struct {
	base string
	http *http.Client
}

// Request is one request; only Features has to be there.
type Request struct {
	DecisionID  string            `json:"decision_id,omitempty"`
	EventTimeMs int64             `json:"event_time,omitempty"`
	Features    map[string]any    `json:"features"`
	Context     map[string]any    `json:"context,omitempty"`
	States      map[string]string `json:"states,omitempty"`
}

// Decision is what most callers need of the decision record.
type Decision struct {
	DecisionID  string   `json:"decision_id"`
	Action      string   `json:"action"`
	Label       string   `json:"label"`
	Source      string   `json:"source"`
	Probability *float64 `json:"probability"`
	Degraded    bool     `json:"degraded"`
	Digest      string   `json:"bundle_digest"`
	Reasons     []struct {
		Code         string   `json:"code"`
		Rank         int      `json:"rank"`
		Contribution *float64 `json:"contribution"`
	} `json:"reasons"`
}

// IsFallback tells whether the bundle's fallback action answered and not its model.
func (d Decision) IsFallback() bool { return d.Source == "fallback" }

// Problem is a refusal by the sidecar; Code is stable.
type Problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

func (p *Problem) Error() string { return fmt.Sprintf("%s [%s, %d]", p.Detail, p.Code, p.Status) }

// New makes a client for http://HOST:PORT or unix:PATH.
func New(url string, timeout time.Duration) *Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	if strings.HasPrefix(url, "unix:") {
		path := strings.TrimPrefix(url, "unix:")
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}
		url = "http://localhost"
	}
	return &Client{base: strings.TrimSuffix(url, "/"), http: &http.Client{Transport: transport, Timeout: timeout}}
}

// Decide decides one request. The error is a *Problem when the sidecar refused it.
func (c *Client) Decide(ctx context.Context, request Request) (Decision, error) {
	var decision Decision
	body, err := json.Marshal(request)
	if err != nil {
		return decision, err
	}
	ask, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/v1/decide", bytes.NewReader(body))
	if err != nil {
		return decision, err
	}
	ask.Header.Set("Content-Type", "application/json")
	// Marks the request as one that may be sent again on a fresh connection.
	ask.Header["Idempotency-Key"] = nil
	answer, err := c.http.Do(ask)
	if err != nil {
		return decision, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		problem := &Problem{Status: answer.StatusCode}
		if err := json.NewDecoder(answer.Body).Decode(problem); err != nil {
			return decision, err
		}
		return decision, problem
	}
	return decision, json.NewDecoder(answer.Body).Decode(&decision)
}
