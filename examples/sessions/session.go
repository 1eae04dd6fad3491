package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"example.com/hallpass-sdk/hallpass"
)

// Session is a login. Its clients send an access token that is always a live one.
type Session struct {
	baseURL         string
	lock            sync.Mutex
	access, refresh string
}

// LogIn opens a session. What it refuses is a *hallpass.GenericOpenAPIError whose Model() is a hallpass.Problem.
func LogIn(baseURL, email, password string) (*Session, error) {
	who := hallpass.NewLoginRequest(email, password)
	login, _, err := newClient(baseURL, patient{}).AuthenticationAPI.Login(context.Background()).LoginRequest(*who).Execute()
	if err != nil {
		return nil, err
	}
	return &Session{baseURL: baseURL, access: login.AccessToken, refresh: login.RefreshToken}, nil
}

// Client is a client of the service in the session's name.
func (s *Session) Client() *hallpass.APIClient {
	return newClient(s.baseURL, s)
}

// RoundTrip sends a request with the access token, and again with a new one where that has expired.
func (s *Session) RoundTrip(request *http.Request) (*http.Response, error) {
	used := s.token()
	answer, err := sendWith(request, used)
	if err != nil || answer.StatusCode != http.StatusUnauthorized || codeOf(answer) != hallpass.TOKEN_EXPIRED {
		return answer, err
	}
	access, err := s.refreshOnce(used)
	if err != nil {
		return nil, err // log in again
	}
	return sendWith(request, access)
}

func (s *Session) token() string {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.access
}

func (s *Session) refreshOnce(used string) (string, error) {
	s.lock.Lock() // one refresh, however many requests wait for it
	defer s.lock.Unlock()
	if s.access == used {
		body := hallpass.NewRefreshRequest()
		body.SetRefreshToken(s.refresh)
		client := newClient(s.baseURL, patient{})
		pair, _, err := client.AuthenticationAPI.RefreshToken(context.Background()).RefreshRequest(*body).Execute()
		if err != nil {
			return "", err
		}
		s.access, s.refresh = pair.AccessToken, pair.RefreshToken
	}
	return s.access, nil
}

// patient sends a request, and again after a 503.
type patient struct{}

func (patient) RoundTrip(request *http.Request) (*http.Response, error) {
	for tries := 1; ; tries++ {
		again := request.Clone(request.Context())
		if request.GetBody != nil {
			again.Body, _ = request.GetBody()
		}
		answer, err := http.DefaultTransport.RoundTrip(again)
		undecided := err == nil && answer.StatusCode == http.StatusServiceUnavailable && codeOf(answer) != hallpass.REVOCATION_PENDING
		if !undecided || tries == 5 {
			return answer, err
		}
		seconds, err := strconv.Atoi(answer.Header.Get("Retry-After"))
		if err != nil {
			seconds = 1
		}
		select {
		case <-time.After(time.Duration(seconds) * time.Second):
		case <-request.Context().Done():
			return nil, request.Context().Err()
		}
	}
}

func sendWith(request *http.Request, access string) (*http.Response, error) {
	authorized := request.Clone(request.Context())
	authorized.Header.Set("Authorization", "Bearer "+access)
	return patient{}.RoundTrip(authorized)
}

// codeOf is the code of a problem; none where a proxy answers.
func codeOf(answer *http.Response) hallpass.ErrorCode {
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	answer.Body = io.NopCloser(bytes.NewReader(body))
	var problem hallpass.Problem
	if err != nil || json.Unmarshal(body, &problem) != nil {
		return ""
	}
	return problem.Code
}

func newClient(baseURL string, transport http.RoundTripper) *hallpass.APIClient {
	settings := hallpass.NewConfiguration()
	settings.Servers = hallpass.ServerConfigurations{{URL: baseURL}}
	settings.HTTPClient = &http.Client{Transport: transport}
	return hallpass.NewAPIClient(settings)
}
