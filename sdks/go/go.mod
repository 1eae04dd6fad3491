module hallpass-verify

go 1.21
