"""The OpenAPI 3.1 description of the API, made of endpoints and models, and compared with the released one."""
