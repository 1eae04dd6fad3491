// Does with openapi-generator's client what every client does, against a running service: hallpass-sdk SERVICE FRONT.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"

	"example.com/hallpass-sdk/hallpass"
)

const (
	email    = "go@example.com"
	password = "an engine weaves patterns"
)

func main() {
	service, front := os.Args[1], os.Args[2]
	anAccountLives(service)
	aSessionLasts(front)
	fmt.Println("go (openapi-generator): well")
}

// Registers, logs in, asks who it is, refreshes, logs out and is refused.
func anAccountLives(service string) {
	ctx := context.Background()
	anonymous := clientOf(service)
	registration := hallpass.NewRegisterRequest(email, password)
	registration.SetFirstName("Robert")
	account, answer, err := anonymous.AuthenticationAPI.Register(ctx).RegisterRequest(*registration).Execute()
	mustBe(err == nil, "registered", err)
	mustBe(answer.StatusCode == 201 && account.GetFirstName() == "Robert", "whom", account)
	_, answer, err = anonymous.AuthenticationAPI.Register(ctx).RegisterRequest(*registration).Execute()
	mustBeRefused(answer, err, 409, hallpass.EMAIL_TAKEN)

	wrong := hallpass.NewLoginRequest(email, "wrong")
	_, answer, err = anonymous.AuthenticationAPI.Login(ctx).LoginRequest(*wrong).Execute()
	mustBeRefused(answer, err, 401, hallpass.INVALID_CREDENTIALS)
	right := hallpass.NewLoginRequest(email, password)
	login, _, err := anonymous.AuthenticationAPI.Login(ctx).LoginRequest(*right).Execute()
	mustBe(err == nil, "logged in", err)
	mustBe(login.User.Email == email, "as whom", login.User)

	ctx = context.WithValue(ctx, hallpass.ContextAccessToken, login.AccessToken)
	caller, _, err := anonymous.AuthenticationAPI.AuthMe(ctx).Execute()
	mustBe(err == nil && caller.User.Id == account.GetId(), "auth-me", err)
	me, _, err := anonymous.UsersAPI.GetMe(ctx).Execute()
	mustBe(err == nil && me.Role == hallpass.MEMBER && me.LastName.Get() == nil, "me", err)

	body := hallpass.NewRefreshRequest()
	body.SetRefreshToken(login.RefreshToken)
	pair, _, err := anonymous.AuthenticationAPI.RefreshToken(context.Background()).RefreshRequest(*body).Execute()
	mustBe(err == nil && pair.RefreshToken != login.RefreshToken, "refreshed", err)

	ctx = context.WithValue(ctx, hallpass.ContextAccessToken, pair.AccessToken)
	_, _, err = anonymous.AuthenticationAPI.Logout(ctx).LogoutRequest(*hallpass.NewLogoutRequest()).Execute()
	mustBe(err == nil, "logged out", err)
	_, answer, err = anonymous.UsersAPI.GetMe(ctx).Execute()
	mustBeRefused(answer, err, 401, hallpass.TOKEN_REVOKED)
}

// The code of the documentation refreshes once and waits.
func aSessionLasts(front string) {
	who, err := WhoAmI(front)
	mustBe(err == nil && who == "johndoe@example.com", "who am I", err)
	session, err := LogIn(front, "johndoe@example.com", "password")
	mustBe(err == nil, "logged in", err)
	me := func() {
		me, _, err := session.Client().UsersAPI.GetMe(context.Background()).Execute()
		mustBe(err == nil && me.Id == 1, "served", err)
	}
	me()
	before := refreshes(front)
	tell(front, "expire")
	var all sync.WaitGroup
	for range 4 {
		all.Add(1)
		go func() {
			defer all.Done()
			me()
		}()
	}
	all.Wait()
	mustBe(refreshes(front) == before+1, "one refresh for all", refreshes(front)-before)
	tell(front, "busy")
	me()
	// A body is sent again like the rest.
	tell(front, "busy")
	last := hallpass.NewProfileUpdate()
	last.SetLastName("Doe")
	_, _, err = session.Client().UsersAPI.UpdateMe(context.Background()).ProfileUpdate(*last).Execute()
	mustBe(err == nil, "changed after a 503", err)
	_, answer, err := clientOf(front).UsersAPI.GetMe(context.Background()).Execute()
	mustBeRefused(answer, err, 401, hallpass.AUTHENTICATION_REQUIRED)
	_, err = LogIn(front, "johndoe@example.com", "wrong")
	var problem *hallpass.GenericOpenAPIError
	mustBe(errors.As(err, &problem), "refused", err)
}

func clientOf(service string) *hallpass.APIClient {
	settings := hallpass.NewConfiguration()
	settings.Servers = hallpass.ServerConfigurations{{URL: service}}
	return hallpass.NewAPIClient(settings)
}

func mustBeRefused(answer *http.Response, err error, status int, code hallpass.ErrorCode) {
	var refusal *hallpass.GenericOpenAPIError
	mustBe(errors.As(err, &refusal), "refused", err)
	problem, typed := refusal.Model().(hallpass.Problem)
	mustBe(typed && answer.StatusCode == status && problem.Code == code, string(code), refusal.Error())
}

func mustBe(holds bool, what string, seen any) {
	if !holds {
		panic(fmt.Sprintf("%s: %v", what, seen))
	}
}

func tell(front, what string) {
	answer, err := http.Post(front+"/front/"+what, "", strings.NewReader(""))
	mustBe(err == nil && answer.StatusCode == 200, what, err)
}

func refreshes(front string) (count int) {
	answer, err := http.Get(front + "/front/refreshes")
	mustBe(err == nil, "refreshes", err)
	var counted struct{ Refreshes int }
	err = json.NewDecoder(answer.Body).Decode(&counted)
	mustBe(err == nil, "refreshes", err)
	return counted.Refreshes
}
