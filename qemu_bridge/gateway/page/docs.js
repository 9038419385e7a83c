// Swagger UI over /openapi.json, with the token of this tab.

import { headers, takeToken } from "./service.js";

takeToken();
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#operations",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
  requestInterceptor: (request) => Object.assign(request, { headers: { ...request.headers, ...headers() } }),
});
