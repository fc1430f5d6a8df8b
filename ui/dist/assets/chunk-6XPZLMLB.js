import{d as r,e as o}from"/assets/chunk-KGMPXENU.js";function c(t,e){let[n,s]=r(t);return o(()=>{let u=setTimeout(()=>s(t),e);return()=>clearTimeout(u)},[t,e]),n}export{c as a};
