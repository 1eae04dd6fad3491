module example.com/hallpass-sdk

go 1.23
