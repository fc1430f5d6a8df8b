import{c as r,d as o}from"/assets/chunk-3HV3OSLY.js";function c(t,e){let[n,s]=r(t);return o(()=>{let u=setTimeout(()=>s(t),e);return()=>clearTimeout(u)},[t,e]),n}export{c as a};
